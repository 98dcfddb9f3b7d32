"""Messages that atoms pass to their neighbors in the recursion.

Scalar messages are the orbital coefficients, that is the weights of a host. A network of the
features of the atom changes them in each step:

    w_j^(0) = w_Z,      w_j^(t+1) = w_j^(t) + g_t(x_j^(t))

They modify the weight of an atom but carry no information about the directions of its neighbors.
With directional messages each atom also passes on its moments, with mixed channels and gated by the
features (as in PaiNN, arXiv 2102.03150, and equivariant successors of REANN):

    u_j^{a,k} = b_j^{l(a),k} sum_k' M^l_k'k s_j^{a,k'}             l >= 1
    s_i^{a,k} = sum_j R_k(r_ij) [w_j^k Y_a(r_ij) + u_j^{a,k}]

Gates and mixing are computed per atom: an edge costs one more multiply-add per component.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.errors import UserError
from reann.model.hosts.angular import components
from reann.model.hosts.field_density import FieldDensity
from reann.model.hosts.host import Host, MomentHost
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.nodes import Channels, NodeState, Update


class ScalarMessages(Update):
    """Weights of the neighbors that depend on the features of the neighbors.

    Attributes
    ----------
    weights
        w_Z, (elements, n_weights).
    networks
        g_t, one for each step; their last layers start at zero.
    scale
        Factor of all g.
    """

    scale: Tensor

    def __init__(
        self,
        config: ModelConfig,
        host: Host,
        n_elements: int,
        *,
        mean_neighbors: float = 1.0,
        generator: torch.Generator | None = None,
        gates: int = 0,
    ) -> None:
        """Create the update for a host.

        Parameters
        ----------
        mean_neighbors
            Initial weights are scaled by 1/sqrt(mean_neighbors), by default also the updates.
        gates
            Additional outputs of the networks per weight.
        """
        super().__init__()
        n = host.n_weights
        self.layout, self.n_recursions = (Channels(0, n),), config.n_recursions
        per_neighbor = max(mean_neighbors, 1.0) ** -0.5
        # Random weights distinguish neighbors of different elements from the start.
        start = torch.randn(n_elements, n, generator=generator)
        self.weights = nn.Parameter(start * per_neighbor)
        n_out = n * (1 + gates)
        self.networks = nn.ModuleList(
            Network(n_elements, host.width, n_out, config.update, bias=True, generator=generator)
            for _ in range(config.n_recursions)
        )
        self.register_buffer("scale", torch.tensor(config.coefficient_scale or per_neighbor))

    def start(self, atoms: Neighborhood) -> NodeState:
        """Return w_Z."""
        # index_select: gradients of indexing are summed in no fixed order.
        return NodeState(self.weights.index_select(0, atoms.element))

    def step(
        self,
        t: int,
        state: NodeState,
        x: Float[Tensor, "atoms features"],
        moments: Float[Tensor, "atoms components weights"] | None,  # noqa: ARG002
        atoms: Neighborhood,
    ) -> NodeState:
        """Return w + g(x)."""
        return NodeState(state.scalars + self.scale * self.networks[t](x, atoms.counts))


class Directional(ScalarMessages):
    """Weights and moments that atoms pass on; only for hosts with l_max > 0.

    Attributes
    ----------
    moments
        M of each step.
    """

    NEEDS_MOMENTS: ClassVar[bool] = True

    def __init__(
        self,
        config: ModelConfig,
        host: MomentHost,
        n_elements: int,
        *,
        mean_neighbors: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            config,
            host,
            n_elements,
            mean_neighbors=mean_neighbors,
            generator=generator,
            gates=host.l_max,
        )
        n = host.n_weights
        self.layout = tuple(Channels(l, n) for l in range(host.l_max + 1))
        self.moments = nn.ModuleList(
            Mixing(n, host.l_max, generator) for _ in range(config.n_recursions)
        )

    def read_moments(
        self,
        functions: Any,
        state: NodeState,
        t: int,  # noqa: ARG002 - the same in every step
    ) -> Float[Tensor, "atoms components weights"] | None:
        """Return sum_j R_k(r_ij) u_j^{a,k}."""
        if not state.tensors:
            return None
        u = functions.atoms.of_neighbors(torch.cat(state.tensors, dim=1))
        return torch.einsum("ijk,ijak->iak", functions.radial, u)

    def step(
        self,
        t: int,
        state: NodeState,
        x: Float[Tensor, "atoms features"],
        moments: Float[Tensor, "atoms components weights"] | None,
        atoms: Neighborhood,
    ) -> NodeState:
        """Return w + g(x), and u."""
        outputs = self.scale * self.networks[t](x, atoms.counts)
        g, *gates = outputs.chunk(len(self.layout), dim=1)
        return NodeState(state.scalars + g, self.moments[t](gates, moments))


class OrbitalMessages(ScalarMessages):
    """Weights and orbitals that atoms pass on: the messages of FIREANN since 2024.

        P_j^(0) = 0,      P_j^(t+1) = P_j^(t) + s_j^(t)
        s_i^(t) = sum_j w_j^(t) [R(r_ij) Y(r_ij) + f_c(r_ij) P_j^(t)] + field term

    The state has one tensor with the components of all l, including l = 0.
    """

    NEEDS_MOMENTS: ClassVar[bool] = True

    def __init__(
        self,
        config: ModelConfig,
        host: FieldDensity,
        n_elements: int,
        *,
        mean_neighbors: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        options = {"mean_neighbors": mean_neighbors, "generator": generator}
        super().__init__(config, host, n_elements, **options)
        self.layout = tuple(Channels(l, host.n_weights) for l in range(host.l_max + 1))

    def read_moments(
        self,
        functions: Any,
        state: NodeState,
        t: int,  # noqa: ARG002 - the same in every step
    ) -> Float[Tensor, "atoms components weights"] | None:
        """Return sum_j w_j f_c(r_ij) P_j."""
        if not state.tensors:
            return None
        P, w = (functions.atoms.of_neighbors(x) for x in (state.tensors[0], state.scalars))
        return torch.einsum("ij,ijk,ijak->iak", functions.cutoff, w, P)

    def step(
        self,
        t: int,
        state: NodeState,
        x: Float[Tensor, "atoms features"],
        moments: Float[Tensor, "atoms components weights"] | None,
        atoms: Neighborhood,
    ) -> NodeState:
        """Return w + g(x), and P + s."""
        scalars = super().step(t, state, x, moments, atoms).scalars
        assert moments is not None
        return NodeState(scalars, (sum(state.tensors, start=moments),))


class Mixing(nn.Module):
    """Moments that atoms pass on in one step.

    Attributes
    ----------
    mixing
        M, (l_max, n_weights, n_weights).
    """

    def __init__(self, n: int, l_max: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.components = components(l_max)[1:]
        start = torch.randn(l_max, n, n, generator=generator)
        self.mixing = nn.Parameter(start / math.sqrt(n))

    def forward(
        self,
        gates: list[Tensor],
        s: Float[Tensor, "atoms components weights"],
    ) -> tuple[Tensor, ...]:
        """Return u of every l, (atoms, components, n_weights), from gates b and moments."""
        by_l = zip(self.components, self.mixing, gates, strict=True)
        return tuple(b[:, None] * (s[:, a] @ mixing) for a, mixing, b in by_l)


def update_of(
    config: ModelConfig,
    host: Host,
    n_elements: int,
    mean_neighbors: float = 1.0,
    generator: torch.Generator | None = None,
) -> Update:
    """Return the update of a configuration, with seeded weights.

    Raises
    ------
    UserError
        For directional messages with a host that has no moments.
    """
    kind: Any = kind_of_update(config, host)
    return kind(config, host, n_elements, mean_neighbors=mean_neighbors, generator=generator)


def kind_of_update(config: ModelConfig, host: Host) -> type[ScalarMessages]:
    """Return the class of the update of a configuration."""
    if isinstance(host, FieldDensity) and host.passes_orbitals:
        return OrbitalMessages
    if config.messages == "scalar":
        return ScalarMessages
    require_moments(host)
    passed_on = config.n_recursions > 0 and isinstance(host, MomentHost) and host.l_max > 0
    return Directional if passed_on else ScalarMessages


def require_moments(host: Host) -> None:
    """Raise `UserError` for a host without moments."""
    if not isinstance(host, MomentHost):
        raise UserError(
            f"The host {type(host).__name__} has no moments for directional messages.",
            "model.messages",
            "Use `messages: scalar`, or one of the hosts density and power_spectrum.",
        )
