"""The interface of hosts: descriptors that compute features of atoms from weighted neighbors.

A host computes D_i = F({w_j, r_ij}). The recursion only lets the weights differ from atom to atom
(Phys. Rev. Lett. 127, 156002, 2021). The contribution of a neighbor must vanish at the cutoff,
together with its derivatives, so that the energy is smooth; and an atom without neighbors must
have features of zero, so that its energy is the reference energy.
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
        Number of weights of a neighbor.
    width
        Number of features.
    """

    n_weights: int
    width: int

    def prepare(self, atoms: Neighborhood) -> Any:
        """Return the functions of the geometry that `forward` needs in all recursions."""
        return atoms

    def forward(
        self, functions: Any, weights: Float[Tensor, "atoms weights"]
    ) -> Float[Tensor, "atoms features"]:
        """Return the features of all atoms, from the result of `prepare` and the weights."""
        raise NotImplementedError

    def describe(
        self,
        functions: Any,
        state: NodeState,
        t: int,  # noqa: ARG002 - the same in every recursion, unlike in hosts with moments
        update: Update,  # noqa: ARG002 - only moments can have messages beside the weights
    ) -> Description:
        """Return the features in recursion `t`; the scalars of the states are the weights."""
        return Description(self(functions, state.scalars))


class NeighborFunctions(NamedTuple):
    """Radial and angular functions of all neighbors."""

    atoms: Neighborhood
    radial: Float[Tensor, "atoms slots weights"]
    """Radial function of each channel."""
    angular: Float[Tensor, "atoms components slots"]
    cutoff: Float[Tensor, "atoms slots"] | None = None
    """Cutoff function, for hosts whose messages need it."""


class MomentHost(Host):
    """A host whose features are invariants of moments s_i^{a,k} = sum_j w_j^k R_k(r_ij) Y_a(r_ij).

    A subclass overrides `prepare`, which computes R and Y, and `invariants`. There is one channel k
    for each weight of a neighbor. Neighbors can also pass on vectors and tensors, see
    `reann.model.messages`.
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
