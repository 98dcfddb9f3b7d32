"""Heads of quantities that have a direction: dipole moment and polarizability.

They read scalars, vectors and matrices off the states of all layers of the equivariant recursion,

    row_i^l = sum_t a_Z^(t,l) . h_i^(t,l) / sqrt(K),

which are summed over the atoms. The atoms of a molecule also have charges, by which its dipole
moment depends on its shape, as in Zhang et al., J. Phys. Chem. B 124, 7284 (2020).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.graph import Graph
from reann.model.heads import OutputHead
from reann.model.neighborhood import Neighborhood
from reann.model.products import entries
from reann.model.representation import Features

NAMES = ("scalars", "vectors", "matrices")


class StateHead(OutputHead):
    """Rows of atoms that are linear in their states, zero at the start.

    Attributes
    ----------
    scalars, vectors, matrices
        a of l = 0, 1, 2, (layers, elements, channels), those of `RANKS`.
    scale
        Unit of the rows, float64: the spread of the labels at the start.
    """

    RANKS: ClassVar[tuple[int, ...]]
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
        shape = config.n_recursions + 1, n_elements, config.channels
        for l in self.RANKS:
            self.register_parameter(NAMES[l], nn.Parameter(torch.zeros(shape)))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def forward(self, features: Features, atoms: Neighborhood) -> Float[Tensor, "atoms rows"]:
        """Return the rows of all ranks, one, three or five numbers each, float64."""
        rows = []
        for l in self.RANKS:
            a = self.get_parameter(NAMES[l]).index_select(1, atoms.element)
            each = [
                (h[l] * a_t[:, None]).sum(-1) for h, a_t in zip(features.states, a, strict=True)
            ]
            rows.append(torch.stack(each).sum(0) / math.sqrt(a.shape[-1]))
        return self.scale * torch.cat(rows, dim=1).to(torch.float64)


class DipoleHead(StateHead):
    """mu = sum_i [q_i r_i + mu_i], e Å.

    What the sum of the charges lacks of the total charge, zero, is spread equally over the atoms,
    so that the dipole does not depend on the origin. In a periodic structure
    charges are left out: there q_i r_i changes when an atom leaves the cell on one side and enters
    on the other.
    """

    RANKS: ClassVar[tuple[int, ...]] = (0, 1)

    def placed(self, rows: Tensor, graph: Graph) -> Float[Tensor, "atoms 3"]:
        """Return what each atom adds to the dipole of its structure."""
        q, mu = rows[:, 0], rows[:, 1:]
        charge = q.new_zeros(graph.n_systems).index_add(0, graph.system, q)
        q = q - (charge / graph.atoms_per_system)[graph.system]
        q = torch.where(graph.pbc.any(1)[graph.system], 0.0, q)
        return q[:, None] * graph.positions + mu


class PolarizabilityHead(StateHead):
    """alpha = sum_i [(a_Z + s_i) 1 + M_i], with M traceless, Å^3.

    Attributes
    ----------
    of_elements
        a_Z, float64, (elements,).
    """

    RANKS: ClassVar[tuple[int, ...]] = (0, 2)
    DOUBLE: ClassVar[tuple[str, ...]] = ("scale", "of_elements")

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        width: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(config, n_elements, width, generator)
        self.of_elements = nn.Parameter(torch.zeros(n_elements, dtype=torch.float64))

    def forward(self, features: Features, atoms: Neighborhood) -> Float[Tensor, "atoms 6"]:
        """Return the isotropic part, and five components of the rest, float64."""
        rows = super().forward(features, atoms)
        isotropic = rows[:, :1] + self.of_elements.index_select(0, atoms.element)[:, None]
        return torch.cat([isotropic, rows[:, 1:]], dim=1)

    def placed(self, rows: Tensor, graph: Graph) -> Float[Tensor, "atoms 3 3"]:
        """Return what each atom adds to the polarizability of its structure."""
        del graph
        isotropic, five = rows[:, 0, None, None], rows[:, 1:].unbind(1)
        matrix = torch.stack(list(entries(2, five).values()), 1).unflatten(1, (3, 3))
        return matrix + isotropic * torch.eye(3, dtype=rows.dtype, device=rows.device)


STATE_HEADS = {"dipole": DipoleHead, "polarizability": PolarizabilityHead}
