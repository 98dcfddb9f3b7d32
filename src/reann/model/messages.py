"""Directional messages: what the recursion can pass on besides orbital coefficients.

With scalar messages an atom tells its neighbors how much it counts, not where its own neighbors
are: orientations do not travel along a chain. So each atom also passes on its moments, radial
functions mixed, each gated by the density (as in PaiNN, arXiv 2102.03150, and the equivariant
descendants of REANN):

    u_j^{a,k} = b_j^{l(a),k} sum_k' M^l_k'k s_j^{a,k'}             l >= 1
    s_i^{a,k} = sum_j R_k(r_ij) [c_j^k Y_a(r_ij) + u_j^{a,k}]

Gates and mixing belong to atoms: an edge costs one multiply-add more per component.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.model.hosts.angular import components


class Directional(nn.Module):
    """The messages of one recursion.

    Attributes
    ----------
    mixing
        M, (l_max, n_radial, n_radial).
    """

    def __init__(self, n_radial: int, l_max: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.components = components(l_max)[1:]
        start = torch.randn(l_max, n_radial, n_radial, generator=generator)
        self.mixing = nn.Parameter(start / math.sqrt(n_radial))

    def forward(
        self,
        gates: Float[Tensor, "atoms gates"],
        s: Float[Tensor, "atoms components radial"],
    ) -> Float[Tensor, "atoms directed radial"]:
        """Return u of every atom from its gates b, for each l and k, and its moments."""
        by_l = zip(self.components, self.mixing, gates.chunk(len(self.mixing), 1), strict=True)
        return torch.cat([b[:, None] * (s[:, a] @ mixing) for a, mixing, b in by_l], dim=1)
