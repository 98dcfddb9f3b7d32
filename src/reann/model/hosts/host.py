"""What the recursion asks of a descriptor: features of atoms from weighted neighbors.

A host computes D_i = F({w_j, r_ij}). Its structure stays as it is; all it gains is that the weights
may differ from atom to atom (Phys. Rev. Lett. 127, 156002, 2021). Two promises make it smooth and
give a free atom its own energy: what a neighbor adds vanishes at the cutoff, with derivatives, and
an atom without neighbors has features of zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.model.neighborhood import Neighborhood
from reann.model.nodes import Description, NodeState, Update


class Host(nn.Module):
    """A descriptor whose neighbors carry weights; override `forward`, and `prepare` for speed.

    Attributes
    ----------
    n_weights
        Numbers that a neighbor brings along.
    width
        Number of features.
    """

    n_weights: int
    width: int

    def prepare(self, atoms: Neighborhood) -> Any:
        """Return what `forward` needs of the geometry, the same in all recursions."""
        return atoms

    def forward(
        self, functions: Any, weights: Float[Tensor, "atoms weights"]
    ) -> Float[Tensor, "atoms features"]:
        """Return the features of all atoms from what `prepare` returned, and their weights."""
        raise NotImplementedError

    def describe(
        self,
        functions: Any,
        state: NodeState,
        t: int,  # noqa: ARG002 - the same in every recursion, unlike in hosts with moments
        update: Update,  # noqa: ARG002 - only moments can have messages beside the weights
    ) -> Description:
        """Return the features in recursion `t`, the weights of neighbors being their scalars."""
        return Description(self(functions, state.scalars))


class NeighborFunctions(NamedTuple):
    """Radial and angular functions of all neighbors."""

    atoms: Neighborhood
    radial: Float[Tensor, "atoms slots weights"]
    """That of each channel."""
    angular: Float[Tensor, "atoms components slots"]
    cutoff: Float[Tensor, "atoms slots"] | None = None
    """The cutoff function, of hosts whose messages need it."""


class MomentHost(Host):
    """A host whose features are invariants of moments s_i^{a,k} = sum_j w_j^k R_k(r_ij) Y_a(r_ij).

    It overrides `prepare`, for R and Y, and `invariants`. The channels k are as many as the weights
    of a neighbor; how many radial functions R_k is made of is a matter of the host. Its neighbors
    can bring along vectors and tensors, too: `reann.model.messages`.
    """

    l_max: int

    def moments(
        self, functions: NeighborFunctions, weights: Float[Tensor, "atoms slots weights"]
    ) -> Float[Tensor, "atoms components weights"]:
        """Return the moments of neighbors with weights."""
        return torch.bmm(functions.angular, functions.radial * weights)

    def invariants(
        self, s: Float[Tensor, "atoms components weights"], t: int
    ) -> Float[Tensor, "atoms features"]:
        """Return the features of moments, in recursion `t`."""
        raise NotImplementedError

    def describe(self, functions: Any, state: NodeState, t: int, update: Update) -> Description:
        """Return features and moments in recursion `t`."""
        s = self.moments(functions, update.read_weights(functions, state, t))
        received = update.read_moments(functions, state, t)
        if received is not None:
            s = torch.cat([s[:, :1], s[:, 1:] + received], dim=1)
        return Description(self.invariants(s, t), s)

    def forward(
        self, functions: Any, weights: Float[Tensor, "atoms weights"]
    ) -> Float[Tensor, "atoms features"]:
        """Return the features without any recursion."""
        return self.invariants(self.moments(functions, functions.atoms.of_neighbors(weights)), 0)
