"""Ewald's sum over reciprocal vectors on a mesh, with its first derivatives: smooth PME.

Charges are spread on a mesh by B-splines, so that all S(k) are one Fourier transform (Essmann et
al., J. Chem. Phys. 103, 8577, 1995). Because charges are Gaussians the mesh holds the whole energy.
Energies, forces and strain derivative belong to each other exactly: they are those of the charges
on the mesh. From Ewald's sum they differ by a part of about 1e-6.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from reann.units import COULOMB

ORDER, PER_SIGMA = 8, 2.0
"""Of the splines; least number of mesh points in the length sigma."""


class Slopes(NamedTuple):
    """Energies of charges, and the first derivatives of their sum."""

    energies: Float[Tensor, " atoms"]
    """eV, half of each pair's."""
    by_charge: Float[Tensor, " atoms"]
    """eV/e: the potential at each charge."""
    by_position: Float[Tensor, "atoms 3"]
    """eV/Å."""
    by_strain: Float[Tensor, "... 3 3"]
    """eV."""


def mesh_slopes(
    q: Float[Tensor, " atoms"],
    positions: Float[Tensor, "atoms 3"],
    cell: Float[Tensor, "3 3"],
    sigma: float,
) -> Slopes:
    """Return energies of the charges of one system and their derivatives; see `ewald`."""
    sizes = [_good_size(float(a.norm()) * PER_SIGMA / sigma) for a in cell]
    inverse = torch.linalg.inv(cell)
    place = torch.tensor(sizes).to(cell) * (positions @ inverse)
    weights, slopes, index = _splines(place, sizes)
    spread = weights[:, 0, :, None, None] * weights[:, 1, None, :, None]
    spread = q[:, None, None, None] * spread * weights[:, 2, None, None, :]
    mesh = q.new_zeros(math.prod(sizes)).index_add_(0, index.view(-1), spread.view(-1))
    S = torch.fft.rfftn(mesh.view(sizes))
    G, k, k2 = _influence(cell, inverse, sizes, sigma)
    potential = torch.fft.irfftn(G * S, s=sizes).view(-1) * math.prod(sizes)
    near = potential[index.view(-1)].view(index.shape)
    # Contracted along z, y and x: the potential and its three slopes.
    z = (near @ weights[:, 2, None, :, None])[..., 0]
    dz = (near @ slopes[:, 2, None, :, None])[..., 0]
    y, dy = ((z @ w[:, 1, :, None])[..., 0] for w in (weights, slopes))
    dz = (dz @ weights[:, 1, :, None])[..., 0]
    phi = (y * weights[:, 0]).sum(1) - q * (math.sqrt(2.0 / math.pi) / sigma)
    by_place = [(y * slopes[:, 0]).sum(1), (dy * weights[:, 0]).sum(1), (dz * weights[:, 0]).sum(1)]
    gradient = q[:, None] * (torch.stack(by_place, 1) * torch.tensor(sizes).to(cell)) @ inverse.T
    power = _power(S, sizes[2]) * G
    along = (power * (2.0 / k2 + sigma**2)).view(-1, 1) * k.view(-1, 3)
    strain = 0.5 * (k.view(-1, 3).T @ along - power.sum() * torch.eye(3).to(cell))
    return Slopes(0.5 * COULOMB * q * phi, COULOMB * phi, COULOMB * gradient, COULOMB * strain)


def _splines(
    place: Float[Tensor, "atoms 3"], sizes: list[int]
) -> tuple[
    Float[Tensor, "atoms 3 order"], Float[Tensor, "atoms 3 order"], Int[Tensor, "atoms x y z"]
]:
    """Return M(w + j), its derivative, and the mesh points that they belong to."""
    first = place.floor()
    w = (place - first)[..., None]
    values, lower = torch.ones_like(w), torch.ones_like(w)
    for n in range(2, ORDER + 1):
        lower = values
        x = w + torch.arange(n).to(w)
        zero = torch.zeros_like(w)
        left, right = torch.cat([values, zero], -1), torch.cat([zero, values], -1)
        values = (x * left + (n - x) * right) / (n - 1)
    zero = torch.zeros_like(w)
    slopes = torch.cat([lower, zero], -1) - torch.cat([zero, lower], -1)
    size = torch.tensor(sizes, device=place.device)
    points = (first.long()[..., None] - torch.arange(ORDER, device=place.device)) % size[:, None]
    x, y, z = points.unbind(1)
    plane = x[:, :, None] * sizes[1] + y[:, None]
    return values, slopes, plane[..., None] * sizes[2] + z[:, None, None]


def _influence(
    cell: Tensor, inverse: Tensor, sizes: list[int], sigma: float
) -> tuple[Float[Tensor, "a b c"], Float[Tensor, "a b c 3"], Float[Tensor, "a b c"]]:
    """Return G / V without what the splines add, k, and k^2, one for k = 0."""
    last = len(sizes) - 1
    each = [
        (torch.fft.rfftfreq if axis == last else torch.fft.fftfreq)(n, 1.0 / n).to(cell)
        for axis, n in enumerate(sizes)
    ]
    m = torch.stack(torch.meshgrid(*each, indexing="ij"), dim=-1)
    k = 2.0 * math.pi * m @ inverse.T
    k2 = k.square().sum(-1)
    k2[0, 0, 0] = 1.0
    G = 4.0 * math.pi / torch.linalg.det(cell).abs() * torch.exp(-0.5 * sigma**2 * k2) / k2
    G[0, 0, 0] = 0.0
    b = [_euler(n).to(cell)[: len(x)] for n, x in zip(sizes, each, strict=True)]
    return G * b[0][:, None, None] * b[1][:, None] * b[2], k, k2


def _euler(n: int) -> Float[Tensor, " n"]:
    """Return |b(m)|^2, which makes exponentials of splines."""
    at_points = torch.ones(1, dtype=torch.float64)  # M at 1, 2, ...
    for order in range(3, ORDER + 1):
        x = torch.arange(1, order).to(at_points)
        zero = torch.zeros(1).to(at_points)
        left, right = torch.cat([at_points, zero]), torch.cat([zero, at_points])
        at_points = (x * left + (order - x) * right) / (order - 1)
    turn = 2.0 * math.pi / n * torch.arange(n, dtype=torch.float64)
    phase = turn[:, None] * torch.arange(ORDER - 1, dtype=torch.float64)
    real, imaginary = phase.cos() @ at_points, phase.sin() @ at_points
    return 1.0 / (real.square() + imaginary.square())


def _power(S: Tensor, n: int) -> Float[Tensor, "a b c"]:
    """Return |S|^2, twice where the opposite vector is left out."""
    twice = torch.full((S.shape[-1],), 2.0, dtype=torch.float64, device=S.device)
    twice[0] = 1.0
    if n % 2 == 0:
        twice[-1] = 1.0
    return (S.real.square() + S.imag.square()) * twice


def _good_size(least: float) -> int:
    """Return the next even number of mesh points whose factors are 2, 3 and 5."""
    n = max(math.ceil(least), ORDER)
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1 and n % 2 == 0:
            return n
        n += 1
