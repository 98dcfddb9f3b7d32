"""Interaction of dipoles in structures of any kind.

The field at atom i of a dipole p_j is sum_b T_ij,ab p_j,b / (4 pi eps_0) with

    T_ij,ab = d^2 V(r_ij) / dr_a dr_b,      V(r) = erf(r / (sqrt(2) sigma)) / r,

the tensor of the same Gaussians as those of charges (`smeared`), so that the field is finite at
r = 0 (Thole, Chem. Phys. 59, 341 (1981), with other damping). In a crystal, it includes all
periodic images, also those of atom i itself. The sum over reciprocal vectors has no k = 0: the
field in which the dipoles lie is the macroscopic one, as in calculations with periodic boundary
conditions. Large cells are split into pairs and wide Gaussians (`split`).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from reann.electrostatics.direct import gaussian, interaction
from reann.electrostatics.ewald import phases_of, reciprocal_vectors, weights_of
from reann.electrostatics.split import LEAST_GAIN, to_nearest_images, widest
from reann.units import COULOMB

SIX = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Components of a symmetric matrix."""


def dipole_tensors(
    positions: Float[Tensor, "atoms 3"], cell: Float[Tensor, "3 3"] | None, sigma: float
) -> Float[Tensor, "atoms 3 atoms 3"]:
    """Return T of all pairs of atoms of one system, 1/Å^3.

    Parameters
    ----------
    positions
        Å.
    cell
        Å; None for a molecule in vacuum.
    sigma
        Å.
    """
    vectors = positions[None] - positions[:, None]
    if cell is None:
        return _near(vectors, sigma, math.inf).permute(0, 2, 1, 3)
    wide = widest(cell)
    if wide < LEAST_GAIN * sigma:
        return _far(positions, cell, sigma)
    near = _near(to_nearest_images(vectors, cell), sigma, wide)
    return near.permute(0, 2, 1, 3) + _far(positions, cell, wide)


def _near(
    vectors: Float[Tensor, "atoms atoms 3"], sigma: float, wide: float
) -> Float[Tensor, "atoms atoms 3 3"]:
    """Return T of the width sigma minus that of the width `wide`, zero for an atom itself."""
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    safe = torch.where(itself[..., None], 1.0, vectors)
    r = torch.linalg.vector_norm(safe, dim=2)
    (first, second), of_wide = _derivatives(r, sigma), _derivatives(r, wide)
    first, second = first - of_wide[0], second - of_wide[1]
    u = safe / r[..., None]
    along = (second - first)[..., None, None] * (u[..., :, None] * u[..., None, :])
    tensors = along + first[..., None, None] * torch.eye(3).to(vectors)
    return torch.where(itself[..., None, None], 0.0, tensors)


def _derivatives(r: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Return V'/r and V'' at distances r, in units of 1 / (4 pi eps_0) 1/Å^3."""
    V, slope_of_rV = interaction(r, sigma) / COULOMB, gaussian(r, sigma) / COULOMB
    first = (slope_of_rV - V) / r.square()
    return first, -2.0 * first - slope_of_rV / sigma**2


def _far(
    positions: Float[Tensor, "atoms 3"], cell: Float[Tensor, "3 3"], sigma: float
) -> Float[Tensor, "atoms 3 atoms 3"]:
    """Return T from reciprocal vectors, without the field of a dipole at its own center."""
    G = weights_of(cell, sigma).flatten()
    used = G.detach() > 0.0
    x, y, z = phases_of(positions, cell, sigma)
    waves = (x[:, None, None] * y[None, :, None] * z[None, None]).flatten(0, 2)[used]
    waves = G[used].sqrt()[:, None] * waves
    k = reciprocal_vectors(cell, sigma).flatten(0, 2)[used]
    parts = torch.cat([waves.real, waves.imag])
    products = torch.stack([k[:, a] * k[:, b] for a, b in SIX]).repeat(1, 2)
    each = [-(parts.T @ (weights[:, None] * parts)) for weights in products]
    rows = [[each[SIX.index((min(a, b), max(a, b)))] for b in range(3)] for a in range(3)]
    tensors = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=1)
    at_center = 4.0 * math.pi / 3.0 * (2.0 * math.pi * sigma**2) ** -1.5
    return tensors + at_center * torch.eye(3 * len(positions)).to(positions).view(tensors.shape)
