"""Heads of directional quantities from networks of the features, as in the original package.

Networks compute invariant numbers of atoms. Directions come from the positions and from derivatives
of sums of these numbers with respect to positions (Zhang et al., J. Phys. Chem. B 124, 7284 (2020),
and the program of Zhang et al., J. Chem. Phys. 156, 114801 (2022)). The heads for equivariant
messages are in `reann.model.state_heads`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.graph import Graph
from reann.model.heads import OutputHead
from reann.model.molecule import from_center
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.representation import Features

START = 0.1
"""Initial size of the last layers relative to Xavier: identical networks would stay identical."""


class FeatureHead(OutputHead):
    """Numbers of atoms from networks of their elements.

    Attributes
    ----------
    networks
        Networks with the layers of `model.readout`.
    scale
        Scale of the quantity, float64; initially the spread of the labels.
    """

    NETWORKS: ClassVar[int] = 1
    OUTPUTS: ClassVar[int] = 1
    """Outputs of each network."""
    DOUBLE: ClassVar[tuple[str, ...]] = ("scale",)
    scale: Tensor

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        width: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(config, n_elements, width, generator)
        self.networks = nn.ModuleList(
            Network(n_elements, width, self.OUTPUTS, config.readout, bias=True, generator=generator)
            for _ in range(self.NETWORKS)
        )
        for last in (network.last for network in self.networks if isinstance(network, Network)):
            for matrix in last.weight:
                nn.init.xavier_uniform_(matrix, START, generator=generator)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def forward(self, features: Features, atoms: Neighborhood) -> Float[Tensor, "atoms numbers"]:
        """Return the outputs of all networks, float64."""
        each = [network(features.standardized, atoms.counts) for network in self.networks]
        return torch.cat(each, dim=1).to(torch.float64)


class ChargeDipole(FeatureHead):
    """mu = sum_i q_i r_i in e Å, r relative to the center of mass; charges need not sum to zero.

    For molecules; see `from_center`.
    """

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms 3"]:
        """Return the contribution of each atom to the dipole of its molecule."""
        del element, before
        return self.scale * values * from_center(graph)


class NeighborDipole(FeatureHead):
    """mu = sum_i q_i sum_j (r_i - r_j), e Å, over the neighbors j of an atom and their images.

    It does not depend on an origin, so it applies to periodic structures, too. Neighbors at the
    cutoff have full weight, so it jumps when one crosses the cutoff.
    """

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        width: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(config, n_elements, width, generator)
        self.cutoff = config.cutoff

    def of_edges(
        self, values: Tensor, graph: Graph, vectors: Float[Tensor, "edges 3"]
    ) -> Float[Tensor, "atoms 3"]:
        """Return the contribution of each atom to the dipole of its structure."""
        # Neighbor lists of calculators reach beyond the cutoff.
        within = torch.linalg.vector_norm(vectors, dim=1, keepdim=True) < self.cutoff
        kept = torch.where(within, vectors, 0.0)
        to_neighbors = kept.new_zeros(graph.n_atoms, 3).index_add(0, graph.center, kept)
        return -self.scale * values * to_neighbors


class TransitionDipole(FeatureHead):
    """mu_T = m_1 + m_2 + (sum_i q_3i) m_1 x m_2 with m_n = sum_i q_ni r_i, e Å.

    For molecules, with r relative to the center of mass. The cross product keeps its sign under
    inversion, unlike the rest: the transition dipole of a mirror image may not be the mirrored one.
    """

    OUTPUTS = 3

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms 3"]:
        """Return the contribution of each atom to the transition dipole of its molecule."""
        del element, before
        parts = values[:, :2, None] * from_center(graph)[:, None]
        m = parts.new_zeros(graph.n_systems, 2, 3).index_add(0, graph.system, parts)
        cross = torch.linalg.cross(m[:, 0], m[:, 1])[graph.system]
        return self.scale * (parts.sum(1) + values[:, 2:] * cross)


class Polarizability(FeatureHead):
    """alpha as in the original package, Å^3, from the sums S_0, S_1, S_2 of three networks.

    With D_n = dS_n/dr (atoms, 3) and r relative to the center of mass:

        REANN    alpha = B + B^T + S_2 1,                    B = (D_0 + r)^T D_1
        EANN     alpha = B + B^T + D_1^T D_1 + S_2 1,        B = r^T D_0
    """

    NETWORKS = 3
    DIFFERENTIATES = True
    DIFFERENTIATED: ClassVar[tuple[int, ...]] = (0, 1)
    """Networks whose sums are differentiated with respect to the positions."""

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        width: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(config, n_elements, width, generator)
        self.form = config.output_forms.polarizability

    def of_edges(
        self, values: Tensor, graph: Graph, vectors: Float[Tensor, "edges 3"]
    ) -> Float[Tensor, "atoms 7"]:
        """Return the contributions of the atoms to S_2, and D_0 and D_1."""
        slopes = [by_positions(values, n, graph, vectors) for n in self.DIFFERENTIATED]
        return self.with_slopes(values, slopes)

    def with_slopes(
        self, values: Float[Tensor, "atoms 3"], slopes: Sequence[Float[Tensor, "atoms 3"]]
    ) -> Float[Tensor, "atoms 7"]:
        """Return the same from the derivatives of the sums of `DIFFERENTIATED` by positions."""
        return torch.cat([values[:, 2:], *slopes], dim=1)

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms 3 3"]:
        """Return the contribution of each atom to the polarizability of its molecule."""
        del element, before
        s2, d0, d1 = values.split((1, 3, 3), dim=1)
        r = from_center(graph)
        if self.form == "reann":
            b = _outer(d0 + r, d1)
            other = torch.zeros_like(b)
        else:
            b, other = _outer(r, d0), _outer(d1, d1)
        identity = torch.eye(3, dtype=values.dtype, device=values.device)
        return self.scale * (b + b.mT + other + s2[:, None] * identity)


def by_positions(
    values: Float[Tensor, "atoms numbers"],
    column: int,
    graph: Graph,
    vectors: Float[Tensor, "edges 3"],
) -> Float[Tensor, "atoms 3"]:
    """Return the derivative of the sum of a column with respect to the positions of the atoms.

    Where gradients are recorded it can be differentiated again.
    """
    weights = torch.zeros_like(values)
    weights[:, column] = 1.0
    (g,) = torch.autograd.grad(
        values,
        vectors,
        weights,
        create_graph=torch.is_grad_enabled(),
        retain_graph=True,
        materialize_grads=True,
    )
    of_atoms = g.new_zeros(graph.n_atoms, 3).index_add(0, graph.neighbor, g)
    return of_atoms.index_add(0, graph.center, -g)


def _outer(a: Float[Tensor, "atoms 3"], b: Float[Tensor, "atoms 3"]) -> Float[Tensor, "atoms 3 3"]:
    return a[:, :, None] * b[:, None, :]


def feature_heads(config: ModelConfig) -> dict[str, type[OutputHead]]:
    """Return the heads of directional quantities, in the forms of the configuration."""
    dipoles = {"center": ChargeDipole, "neighbors": NeighborDipole}
    return {
        "dipole": dipoles[config.output_forms.dipole],
        "transition_dipole": TransitionDipole,
        "polarizability": Polarizability,
    }
