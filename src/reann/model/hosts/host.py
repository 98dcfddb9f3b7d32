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
        self, seen: Any, weights: Float[Tensor, "atoms weights"]
    ) -> Float[Tensor, "atoms features"]:
        """Return the features of all atoms from what `prepare` returned, and their weights."""
        raise NotImplementedError


class Seen(NamedTuple):
    """Radial and angular functions of all neighbors."""

    atoms: Neighborhood
    radial: Float[Tensor, "atoms slots weights"]
    angular: Float[Tensor, "atoms components slots"]


class MomentHost(Host):
    """A host whose features are invariants of moments s_i^{a,k} = sum_j w_j^k R_k(r_ij) Y_a(r_ij).

    It overrides `prepare`, for R and Y, and `invariants`. Its neighbors can bring along vectors and
    tensors, too: `reann.model.messages`.
    """

    l_max: int

    def moments(
        self,
        seen: Seen,
        weights: Float[Tensor, "atoms weights"],
        directed: Float[Tensor, "atoms directed weights"] | None,
    ) -> Float[Tensor, "atoms components weights"]:
        """Return the moments; the components of l >= 1 also have sum_j R_k(r_ij) u_j^{a,k}."""
        s = torch.bmm(seen.angular, seen.radial * seen.atoms.of_neighbors(weights))
        if directed is None:
            return s
        received = torch.einsum("ijk,ijak->iak", seen.radial, seen.atoms.of_neighbors(directed))
        return torch.cat([s[:, :1], s[:, 1:] + received], dim=1)

    def invariants(
        self, s: Float[Tensor, "atoms components weights"], t: int
    ) -> Float[Tensor, "atoms features"]:
        """Return the features of moments, in recursion `t`."""
        raise NotImplementedError

    def forward(
        self, seen: Any, weights: Float[Tensor, "atoms weights"]
    ) -> Float[Tensor, "atoms features"]:
        """Return the features without any recursion."""
        return self.invariants(self.moments(seen, weights, None), 0)
