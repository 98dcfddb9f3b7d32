"""Repulsion of pairs that are closer than any in the training structures.

E = 1/2 sum_ij  A R(b (r_0 - r)),   R(y) = e^y - 1 - y - y^2/2 - y^3/6   for r < r_0, else zero.

r_0 is the shortest distance of the two elements in the training structures, below which the network
only extrapolates. R is an exponential without the beginning of its series: with three continuous
derivatives at r_0, and its force grows all the way to r = 0. No structure of the training has a
pair in its range, so that it changes no error there.

The decay b is that of the screened repulsion of nuclei (`reann.model.zbl`) from r_0 / 2 to r_0, and
A gives `STRENGTH` times its energy at r_0 / 2. `reann.training.contacts` sets r_0, and raises A
where the network attracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from ase.data import covalent_radii
from jaxtyping import Float, Int
from torch import Tensor, nn

from reann.model.neighborhood import Neighborhood
from reann.model.terms import Outputs
from reann.model.zbl import screened_repulsion

STRENGTH = 2.0
"""With the tenth of the structures whose bonds are shortest left out of the training (C-C, C-O, C-H
and O-H of ethanol, C-O on nickel), it removes a third to a half of the error of forces along them;
1 removes less, and from 3 on the shortest O-H and C-H bonds get too stiff."""


class Repulsion(nn.Module):
    """Repulsion of close pairs, in float64; not trained.

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
    """Tensors that are in float64 whatever the precision of the networks."""
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
        """Set r_0 in Å, and b and A by the repulsion of nuclei."""
        charge, half = start.new_tensor(self.atomic_numbers), start / 2
        energy, end = (screened_repulsion(r, charge[:, None], charge) for r in (half, start))
        self.start.copy_(start)
        self.decay.copy_((energy / end).log() / half)
        self.amplitude.copy_(STRENGTH * energy / _exponential(self.decay * half, 4))

    def forward(
        self,
        atoms: Neighborhood,
        before: Mapping[str, Tensor],  # noqa: ARG002 - asks no other term
    ) -> Outputs:
        """Return the energies of the repulsion, eV."""
        r = torch.linalg.vector_norm(atoms.vector, dim=-1)
        neighbor = atoms.element[atoms.neighbor]
        return {"energies": self.energies(r, atoms.element, neighbor)}

    def energies(
        self,
        r: Float[Tensor, "atoms slots"],
        center: Int[Tensor, " atoms"],
        neighbor: Int[Tensor, "atoms slots"],
    ) -> Float[Tensor, " atoms"]:
        """Return half of each pair's energy for each atom, eV; r in Å, elements as indices."""
        pair = (center[:, None].expand_as(neighbor), neighbor)
        y = self.decay[pair] * (self.start[pair] - r).clamp(min=0.0)
        return (0.5 * self.amplitude[pair] * _exponential(y, 4)).sum(1)

    def stiffness(
        self, r: Float[Tensor, "... elements elements"]
    ) -> Float[Tensor, "... elements elements"]:
        """Return the force between the atoms of pairs by amplitude, 1/Å; positive: repulsive."""
        return self.decay * _exponential(self.decay * (self.start - r).clamp(min=0.0), 3)


def _exponential(y: Tensor, n: int) -> Tensor:
    """Return e^y without the first n = 3 or 4 terms of its series."""
    rest = torch.expm1(y) - y - y.square() / 2
    return rest if n == 3 else rest - y.pow(3) / 6
