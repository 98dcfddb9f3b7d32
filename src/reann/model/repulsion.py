"""Repulsion of pairs that are closer than all pairs in the training structures.

Below the shortest distance r_0 of two elements in the training structures, the network would
extrapolate. For such a pair, the network is evaluated at a larger distance R(r) >= 0.85 r_0, and
the term

E = 1/2 sum_ij  A (e^y - 1 - y - y^2/2 - y^3/6),   y = b (r_0 - r),   for r < r_0, else zero

is added: an exponential without the first terms of its series, whose force grows down to r = 0.
Both have three continuous derivatives at r_0. No training structure has pairs in their range, so
training errors do not change.

b is the decay of the screened nuclear repulsion (`reann.model.zbl`) between r_0 / 2 and r_0, and A
gives `STRENGTH` times its energy at r_0 / 2. `reann.training.contacts` sets r_0, and increases A if
the network is attractive in the transition range.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from ase.data import covalent_radii
from jaxtyping import Float, Int
from torch import Tensor

from reann.facts import REPULSION_WIDTH
from reann.model.neighborhood import Neighborhood
from reann.model.terms import PairTerm
from reann.model.zbl import screened_repulsion

STRENGTH = 3.0
"""Values of 2 to 4 give the best forces along short bonds, tested by leaving the tenth of the
structures with the shortest bonds out of the training (C-C, C-O, C-H and O-H of ethanol, C-O on
nickel)."""


class Repulsion(PairTerm):
    """Repulsion of close pairs, float64; not trained.

    Attributes
    ----------
    start
        r_0 in Å, (elements, elements): the sum of the covalent radii until `begin_at`.
    decay
        b in 1/Å.
    amplitude
        A in eV.
    """

    DOUBLE: ClassVar[tuple[str, ...]] = ("start", "decay", "amplitude")
    """Tensors that are float64 for all precisions of the networks."""
    start: Tensor
    decay: Tensor
    amplitude: Tensor

    def __init__(self, atomic_numbers: list[int], cutoff: float) -> None:
        super().__init__()
        self.atomic_numbers = list(atomic_numbers)
        radius = torch.tensor([covalent_radii[z] for z in atomic_numbers], dtype=torch.float64)
        for name in self.DOUBLE:
            self.register_buffer(name, torch.zeros_like(radius[:, None] + radius))
        self.begin_at((radius[:, None] + radius).clamp(max=cutoff))

    def begin_at(self, start: Float[Tensor, "elements elements"]) -> None:
        """Set r_0 in Å, and b and A from the nuclear repulsion."""
        charge, half = start.new_tensor(self.atomic_numbers), start / 2
        energy, end = (screened_repulsion(r, charge[:, None], charge) for r in (half, start))
        self.start.copy_(start)
        self.decay.copy_((energy / end).log() / half)
        self.amplitude.copy_(STRENGTH * energy / _exponential(self.decay * half, 4))

    def softened(self, atoms: Neighborhood) -> Neighborhood:
        """Return the neighbors for the network, with larger distances for pairs that are too close.

        Vectors of closer pairs are lengthened to R = r_0 - w (u - 5/2 u^4 + 3 u^5 - u^6) with
        u = (r_0 - r) / w, and from u = 1 on to r_0 - w / 2; others stay exactly as they are.
        """
        pair = (atoms.element[:, None].expand_as(atoms.neighbor), atoms.element[atoms.neighbor])
        start = self.start[pair]
        width = REPULSION_WIDTH * start
        r = torch.linalg.vector_norm(atoms.vector, dim=-1)
        u = ((start - r) / width).clamp(0.0, 1.0)
        distance = start - width * u * (1.0 - u.pow(3) * (2.5 - u * (3.0 - u)))
        factor = torch.where(r < start, distance / r, 1.0)
        return replace(atoms, vector=atoms.vector * factor[..., None])

    def energies(
        self,
        r: Float[Tensor, "atoms slots"],
        center: Int[Tensor, " atoms"],
        neighbor: Int[Tensor, "atoms slots"],
    ) -> Float[Tensor, " atoms"]:
        """Return half the energies of the pairs of each atom in eV; r in Å, elements as indices."""
        pair = (center[:, None].expand_as(neighbor), neighbor)
        y = self.decay[pair] * (self.start[pair] - r).clamp(min=0.0)
        return (0.5 * self.amplitude[pair] * _exponential(y, 4)).sum(1)

    def stiffness(
        self, r: Float[Tensor, "... elements elements"]
    ) -> Float[Tensor, "... elements elements"]:
        """Return the force of pairs over the amplitude, 1/Å; positive is repulsive."""
        return self.decay * _exponential(self.decay * (self.start - r).clamp(min=0.0), 3)


def _exponential(y: Tensor, n: int) -> Tensor:
    """Return e^y without the first n = 3 or 4 terms of its series."""
    rest = torch.expm1(y) - y - y.square() / 2
    return rest if n == 3 else rest - y.pow(3) / 6
