"""Charges in a cell that is periodic in three directions: Ewald's sum over reciprocal vectors.

    E = (1 / 2V) sum_{k != 0} G(k) |S(k)|^2 - sum_i q_i^2 / (sqrt(2 pi) sigma)
    G(k) = 4 pi exp(-sigma^2 k^2 / 2) / k^2,      S(k) = sum_i q_i exp(i k . r_i)

in units of 1 / (4 pi eps_0). Charges are Gaussians, so that there is no sum in real space. Without
k = 0 a cell with a total charge Q is neutralized by a uniform background, which is part of the
energy and of the pressure: in a large cubic cell of length L they add
-2.837297 Q^2 / 2L + pi sigma^2 Q^2 / V to the energy of free ions.

The phase factors of the three directions are multiplied one after the other, so that S(k) is a
product of matrices. Sums end where G has fallen to `ACCURACY`.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from reann.units import COULOMB

ACCURACY = 1e-7
"""Of exp(-sigma^2 k^2 / 2) at the end of the sum."""


def ewald_potentials(
    q: Float[Tensor, " atoms"],
    positions: Float[Tensor, "atoms 3"],
    cell: Float[Tensor, "3 3"],
    sigma: float,
    G: Float[Tensor, "a b c"] | None = None,
) -> Float[Tensor, " atoms"]:
    """Return the potentials at the atoms of one system in V; an atom has half of q V as energy.

    `G` is what `weights_of` returns for the cell, where it is known.
    """
    phases, G = phases_of(positions, cell, sigma), weights_of(cell, sigma) if G is None else G
    in_plane = (phases[0][:, None] * phases[1][None]).flatten(0, 1)
    S = (in_plane * q) @ phases[2].T
    weighted = (G.flatten(0, 1) * S.conj()) @ phases[2]
    potential = (in_plane * weighted).real.sum(0)
    return COULOMB * (potential - q * self_potential(sigma))


def ewald_matrix(
    positions: Float[Tensor, "atoms 3"], cell: Float[Tensor, "3 3"], sigma: float
) -> Float[Tensor, "atoms atoms"]:
    """Return the interactions of all pairs of atoms of one system, eV/e^2: V = matrix q."""
    phases, G = phases_of(positions, cell, sigma), weights_of(cell, sigma)
    in_plane = (phases[0][:, None] * phases[1][None]).flatten(0, 1)
    matrix = positions.new_zeros(len(positions), len(positions))
    for z, weights in zip(phases[2], G.flatten(0, 1).T, strict=True):
        used = weights > 0.0
        amplitude = weights[used].sqrt()[:, None] * in_plane[used] * z
        matrix += amplitude.real.T @ amplitude.real + amplitude.imag.T @ amplitude.imag
    matrix.diagonal().sub_(self_potential(sigma))
    return COULOMB * matrix


def self_potential(sigma: float) -> float:
    """Return the potential of a unit charge at its own center, in units of 1 / (4 pi eps_0) 1/Å."""
    return math.sqrt(2.0 / math.pi) / sigma


def phases_of(
    positions: Float[Tensor, "atoms 3"], cell: Float[Tensor, "3 3"], sigma: float
) -> list[Complex[Tensor, "numbers atoms"]]:
    """Return exp(2 pi i n f) of the fractions f of each direction; n >= 0 in the first."""
    fractions = positions @ torch.linalg.inv(cell)
    factors = []
    for axis, most in enumerate(_numbers(cell, sigma)):
        # As float64: a complex factor would convert whole numbers to single precision.
        n = torch.arange(0 if axis == 0 else -most, most + 1, device=cell.device).to(cell)
        factors.append(torch.exp(2j * math.pi * n[:, None] * fractions[None, :, axis]))
    return factors


def weights_of(cell: Float[Tensor, "3 3"], sigma: float) -> Float[Tensor, "a b c"]:
    """Return G / V of all reciprocal vectors, twice where the opposite vector is left out."""
    k = reciprocal_vectors(cell, sigma)
    k2 = k.square().sum(-1)
    inside = (k2.detach() <= _largest(sigma) ** 2) & (k2.detach() > 0.0)
    safe = torch.where(inside, k2, 1.0)
    G = torch.where(inside, 4.0 * math.pi * torch.exp(-0.5 * sigma**2 * safe) / safe, 0.0)
    twice = G.new_full((len(G), 1, 1), 2.0)
    twice[0] = 1.0
    return twice * G / torch.linalg.det(cell).abs()


def reciprocal_vectors(cell: Float[Tensor, "3 3"], sigma: float) -> Float[Tensor, "a b c 3"]:
    """Return the reciprocal vectors of the products of `phases_of`, 1/Å."""
    each = [
        torch.arange(0 if axis == 0 else -most, most + 1, device=cell.device).to(cell)
        for axis, most in enumerate(_numbers(cell, sigma))
    ]
    n = torch.stack(torch.meshgrid(*each, indexing="ij"), dim=-1)
    return 2.0 * math.pi * n @ torch.linalg.inv(cell).T


def _numbers(cell: Float[Tensor, "3 3"], sigma: float) -> list[int]:
    """Return the largest n of each direction: |k| is at least 2 pi |n| / |lattice vector|."""
    lengths = torch.linalg.vector_norm(cell.detach(), dim=1)
    return (_largest(sigma) * lengths / (2.0 * math.pi)).floor().long().tolist()


def _largest(sigma: float) -> float:
    """Return the |k| at which the sum ends, 1/Å."""
    return math.sqrt(-2.0 * math.log(ACCURACY)) / sigma
