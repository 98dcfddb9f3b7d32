"""Products of the moments of an atom that are invariant under rotation.

* gram:     G^l_kk' = sum_a s^{a,k} s^{a,k'}, the upper triangle of each l; its diagonal is the
            density of EANN, and it contains the information of all contracted orbitals;
* many_body: the Gram matrices, and of contracted moments of l = 1 and 2, vectors v and symmetric
            matrices A, the products of three and four v A v, tr A^3 and |A v|^2. With unit
            vectors they are sums over neighbors of cos(12) cos(23), cos(12) cos(23) cos(31) and
            cos(12) cos(23) cos(34), terms of four and five bodies as in NEP (J. Chem. Phys. 157,
            114801, 2022) and ACE (Phys. Rev. B 99, 014104, 2019);
* orbitals: rho^m = sum_l sum_a (sum_k d^l_km s^{a,k})^2, REANN (Phys. Rev. Lett. 127, 156002,
            2021; J. Chem. Phys. 156, 114801, 2022), summed over l or kept apart.

All are zero for an atom without neighbors.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.model.hosts.angular import components


class Gram(nn.Module):
    """Products of the moments within each l, n_radial (n_radial + 1) / 2 for each."""

    pair: Tensor
    twice: Tensor

    def __init__(self, n_radial: int, l_max: int) -> None:
        super().__init__()
        self.components = components(l_max)
        row, column = torch.triu_indices(n_radial, n_radial)
        self.width = len(row) * (l_max + 1)
        self.register_buffer("pair", row * n_radial + column, persistent=False)
        # Off-diagonal products occur twice: with sqrt(2), the norm is that of the full matrix.
        twice = torch.full(row.shape, math.sqrt(2.0), dtype=torch.float64)
        twice[row == column] = 1.0
        self.register_buffer("twice", twice, persistent=False)

    def forward(
        self,
        s: Float[Tensor, "atoms components radial"],
        t: int,  # noqa: ARG002 - the same in every recursion, unlike that of Orbitals
    ) -> Float[Tensor, "atoms features"]:
        """Return the density of moments."""
        grams = [torch.bmm(s_l.mT, s_l) for s_l in (s[:, a] for a in self.components)]
        twice = self.twice.to(s.dtype)
        upper = [gram.flatten(1).index_select(1, self.pair) * twice for gram in grams]
        return torch.cat(upper, dim=1)


class ManyBody(Gram):
    """Products of two moments within each l, and of three and four with l = 1 and 2.

    Attributes
    ----------
    vector, matrix
        Contractions of the moments of l = 1 and of l = 2, (n_radial, n_orbitals).
    """

    def __init__(
        self,
        n_radial: int,
        l_max: int,
        n_orbitals: int,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_radial, l_max)
        self.width += 3 * n_orbitals
        start = torch.randn(2, n_radial, n_orbitals, generator=generator) / math.sqrt(n_radial)
        self.vector, self.matrix = (nn.Parameter(x.clone()) for x in start)

    def forward(
        self, s: Float[Tensor, "atoms components radial"], t: int
    ) -> Float[Tensor, "atoms features"]:
        """Return the density of moments."""
        v = (s[:, self.components[1]] @ self.vector).mT.unsqueeze(-1)
        xx, xy, xz, yy, yz, zz = (s[:, self.components[2]] @ self.matrix).unbind(1)
        # The square roots of the multinomial weights hold for products of two moments only.
        xy, xz, yz = (math.sqrt(0.5) * x for x in (xy, xz, yz))
        A = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=-1).unflatten(-1, (3, 3))
        Av = A @ v
        many = [(v * Av).sum((2, 3)), (A @ A * A).sum((2, 3)), (Av * Av).sum((2, 3))]
        return torch.cat([super().forward(s, t), *many], dim=1)


class Orbitals(nn.Module):
    """Squares of contracted orbitals.

    Attributes
    ----------
    contraction
        d, (recursions or 1, l_max + 1, n_radial, n_orbitals).
    """

    def __init__(
        self,
        n_radial: int,
        l_max: int,
        n_orbitals: int,
        *,
        per_l: bool,
        n_contractions: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.components, self.per_l = components(l_max), per_l
        self.width = n_orbitals * (l_max + 1 if per_l else 1)
        # Initially, all l and recursions have the same matrix, as in the original package.
        start = torch.empty(n_radial, n_orbitals)
        nn.init.xavier_uniform_(start, generator=generator)
        self.contraction = nn.Parameter(start.repeat(n_contractions, l_max + 1, 1, 1))

    def forward(
        self, s: Float[Tensor, "atoms components radial"], t: int
    ) -> Float[Tensor, "atoms features"]:
        """Return the density of recursion `t`."""
        d = self.contraction[min(t, len(self.contraction) - 1)]
        by_l = [(s[:, a] @ d[l]).square().sum(1) for l, a in enumerate(self.components)]
        return torch.cat(by_l, dim=1) if self.per_l else torch.stack(by_l).sum(0)
