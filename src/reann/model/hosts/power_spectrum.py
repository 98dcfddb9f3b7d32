"""The power spectrum of the neighbor density in a learned radial basis, as in SOAP and NEP.

    A_i^{n,lm} = sum_j w_j^n g_n(r_ij) Y_lm(r_ij),      p_i^{nn'l} = sum_m A^{n,lm} A^{n',lm}
    g_n(r) = sum_k C^Z_nk (1 + T_k(2 (r/rc - 1)^2 - 1)) / 2 fc(r)

Bartok, Kondor, Csanyi, Phys. Rev. B 87, 184115 (2013); the radial functions are those of NEP (Fan
and others, Phys. Rev. B 104, 104309, 2021). By the addition theorem p^l is the sum over pairs of
neighbors of P_l(cos), which the Cartesian moments give without spherical harmonics.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from numpy.polynomial import legendre
from torch import Tensor, nn
from torch.nn import functional

from reann.config import ModelConfig
from reann.model.hosts.angular import angular
from reann.model.hosts.host import MomentHost, NeighborFunctions
from reann.model.hosts.products import Gram
from reann.model.hosts.radial import CUTOFF_FUNCTIONS
from reann.model.neighborhood import Neighborhood


class PowerSpectrum(MomentHost):
    """p^{nn'l}, n <= n', of n_radial radial functions and l <= l_max.

    Attributes
    ----------
    basis
        C, (elements of the neighbor, n_basis, n_radial).
    """

    legendre: Tensor

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        generator: torch.Generator | None = None,
        *,
        n_basis: int = 12,
    ) -> None:
        """Create the host; `n_basis` is the number of Chebyshev polynomials."""
        super().__init__()
        self.cutoff, self.l_max, self.n_weights = config.cutoff, config.l_max, config.n_radial
        self.cutoff_function = CUTOFF_FUNCTIONS[config.cutoff_function]
        start = torch.randn(n_elements, n_basis, config.n_radial, generator=generator)
        self.basis = nn.Parameter(start / math.sqrt(n_basis))
        self.gram = Gram(config.n_radial, config.l_max)
        self.width = self.gram.width
        # P_l(x) = sum_k legendre[l, k] x^k
        rows = [legendre.leg2poly([0] * l + [1]) for l in range(self.l_max + 1)]
        table = [[*row, *[0.0] * (self.l_max + 1 - len(row))] for row in rows]
        self.register_buffer("legendre", torch.tensor(table, dtype=torch.float64), persistent=False)

    def prepare(self, atoms: Neighborhood) -> NeighborFunctions:
        """Return radial and angular functions of all neighbors."""
        r = torch.linalg.vector_norm(atoms.vector, dim=-1)
        x = 2.0 * (r / self.cutoff - 1.0).square() - 1.0
        T = [torch.ones_like(x), x]
        while len(T) < self.basis.shape[1]:
            T.append(2.0 * x * T[-1] - T[-2])
        f = torch.stack(T[: self.basis.shape[1]], dim=-1).mul(0.5).add(0.5)
        f = f * self.cutoff_function(r, self.cutoff)[..., None]
        # One product for all elements; the functions of a neighbor are in the columns of its
        # element.
        of_element = functional.one_hot(atoms.element[atoms.neighbor], len(self.basis)).to(f.dtype)
        radial = torch.einsum("ijz,ijk,zkn->ijn", of_element, f, self.basis)
        return NeighborFunctions(atoms, radial, angular(atoms.vector / r[..., None], self.l_max))

    def invariants(
        self, s: Float[Tensor, "atoms components weights"], t: int
    ) -> Float[Tensor, "atoms features"]:
        """Return p; the Gram matrices of the moments are sums of powers of the cosine."""
        powers = self.gram(s, t).unflatten(1, (self.l_max + 1, -1))
        return torch.einsum("lk,ikp->ilp", self.legendre.to(s.dtype), powers).flatten(1)
