"""Few charges in a large cell: near pairs in real space, the rest by a sum of wide Gaussians.

The sum over reciprocal vectors has about volume / sigma^3 terms, which is many for a molecule in a
large box. With a width w > sigma,

    erf(r / sqrt(2) sigma) / r = [erf(r / sqrt(2) sigma) - erf(r / sqrt(2) w)] / r
                                 + erf(r / sqrt(2) w) / r,

where the first term ends at a few w, and the second has fewer reciprocal vectors. w is so small
that only the nearest image of each pair is within reach of the first term. As the sum without
k = 0 has no mean, that of the first term, 2 pi (w^2 - sigma^2) / V per charge, is subtracted.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from reann.electrostatics.ewald import ewald_potentials
from reann.units import COULOMB

REACH = 5.6
"""Distance in units of w beyond which the first term is neglected: erfc(5.6 / sqrt(2)) = 2e-8."""
LEAST_GAIN = 1.3
"""Least w / sigma: the number of reciprocal vectors falls by the third power of it."""
PAIRS = 4.0
"""Most pairs of atoms per volume of sigma^3; with more, the pairs take longer than they save."""


def width_of(cell: Float[Tensor, "3 3"], n_atoms: int, sigma: float) -> float:
    """Return the width w of the Gaussians of the Ewald sum; `sigma` if the sum is not split."""
    cell, wide = cell.detach(), widest(cell)
    is_large = n_atoms**2 <= PAIRS * float(torch.linalg.det(cell).abs()) / sigma**3
    return wide if is_large and wide > LEAST_GAIN * sigma else sigma


def widest(cell: Float[Tensor, "3 3"]) -> float:
    """Return the largest w for which the first term reaches only the nearest images, Å."""
    heights = 1.0 / torch.linalg.vector_norm(torch.linalg.inv(cell.detach()), dim=0)
    return 0.5 * float(heights.min()) / REACH


def to_nearest_images(
    vectors: Float[Tensor, "... 3"], cell: Float[Tensor, "3 3"]
) -> Float[Tensor, "... 3"]:
    """Return the vectors to the nearest images, if these are within the reach of the first term."""
    numbers = (vectors.detach() @ torch.linalg.inv(cell.detach())).round()
    return vectors - numbers @ cell


def mean_of(cell: Float[Tensor, "3 3"], sigma: float, wide: float) -> Float[Tensor, ""]:
    """Return the mean potential of the first term of a unit charge, V."""
    volume = torch.linalg.det(cell).abs()
    return COULOMB * 2.0 * math.pi * (wide**2 - sigma**2) / volume


def split_potentials(
    q: Float[Tensor, " atoms"],
    positions: Float[Tensor, "atoms 3"],
    cell: Float[Tensor, "3 3"],
    sigma: float,
    wide: float,
    *,
    G: Float[Tensor, "a b c"] | None = None,
) -> Float[Tensor, " atoms"]:
    """Return the potentials at the atoms of one system in V, as `ewald_potentials`.

    `G` is what `weights_of` returns for the cell and the width `wide`, where it is known.
    """
    far = ewald_potentials(q, positions, cell, wide, G)
    if wide == sigma:
        return far
    i, j = torch.triu_indices(len(q), len(q), 1, device=q.device)
    r = torch.linalg.vector_norm(to_nearest_images(positions[j] - positions[i], cell), dim=1)
    near = (torch.erf(r / (math.sqrt(2.0) * sigma)) - torch.erf(r / (math.sqrt(2.0) * wide))) / r
    potential = torch.zeros_like(q).index_add(0, i, near * q[j]).index_add(0, j, near * q[i])
    return far + COULOMB * potential - mean_of(cell, sigma, wide) * q.sum()
