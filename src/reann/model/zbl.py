"""Screened nuclear repulsion at short range (Ziegler, Biersack, Littmark, 1985).

E = 1/2 sum_ij  (1/4 pi eps0) Z_i Z_j e^2 / r * phi(r / a) * f(r),
a = 0.46850 Å / (Z_i^0.23 + Z_j^0.23),
phi(x) = 0.18175 e^{-3.19980 x} + 0.50986 e^{-0.94229 x} + 0.28022 e^{-0.40290 x}
       + 0.02817 e^{-0.20162 x}.

f falls from one to zero between `inner` and `outer` times the sum of the covalent radii, with two
continuous derivatives. Bonds are longer, so the network does not need to compensate the term.
"""

from __future__ import annotations

import torch
from ase.data import covalent_radii
from jaxtyping import Float, Int
from torch import Tensor

from reann.config import ZBLConfig
from reann.facts import (
    ZBL_AMPLITUDES,
    ZBL_COULOMB,
    ZBL_DECAYS,
    ZBL_EXPONENT,
    ZBL_LARGEST_INNER,
    ZBL_LENGTH,
)
from reann.model.terms import PairTerm


class ZBL(PairTerm):
    """Repulsion of all pairs, float64; not trained."""

    charge: Tensor
    inner: Tensor
    outer: Tensor

    def __init__(self, atomic_numbers: list[int], config: ZBLConfig, cutoff: float) -> None:
        super().__init__()
        radius = torch.tensor([covalent_radii[z] for z in atomic_numbers], dtype=torch.float64)
        contact = radius[:, None] + radius[None, :]
        charge = torch.tensor(atomic_numbers, dtype=torch.float64)
        inner = (config.inner * contact).clamp(max=ZBL_LARGEST_INNER * cutoff)
        outer = (config.outer * contact).clamp(max=cutoff)
        self.register_buffer("charge", charge, persistent=False)
        self.register_buffer("inner", inner, persistent=False)
        self.register_buffer("outer", outer, persistent=False)

    def energies(
        self,
        r: Float[Tensor, "atoms slots"],
        center: Int[Tensor, " atoms"],
        neighbor: Int[Tensor, "atoms slots"],
    ) -> Float[Tensor, " atoms"]:
        """Return half the energies of the pairs of each atom in eV; r in Å, elements as indices."""
        pair = (center[:, None].expand_as(neighbor), neighbor)
        energy = screened_repulsion(r, self.charge[pair[0]], self.charge[pair[1]])
        inner, outer = self.inner[pair], self.outer[pair]
        u = ((r - inner) / (outer - inner)).clamp(0.0, 1.0)
        switch = 1.0 - u.pow(3) * (10.0 - u * (15.0 - 6.0 * u))
        return (0.5 * energy * switch).sum(1)


def screened_repulsion(r: Tensor, charge_i: Tensor, charge_j: Tensor) -> Tensor:
    """Return the energy of pairs of nuclei without the switch, eV; r in Å."""
    x = r * (charge_i.pow(ZBL_EXPONENT) + charge_j.pow(ZBL_EXPONENT)) / ZBL_LENGTH
    terms = zip(ZBL_AMPLITUDES, ZBL_DECAYS, strict=True)
    screening = sum(a * torch.exp(-d * x) for a, d in terms)
    return ZBL_COULOMB * charge_i * charge_j / r * screening
