"""Ewald's sum over reciprocal vectors on a mesh, with its first derivatives: smooth PME.

Charges are spread on a mesh by B-splines, so that all S(k) are one Fourier transform (Essmann et
al., J. Chem. Phys. 103, 8577, 1995). Because charges are Gaussians, the mesh contains the whole
energy. Forces and strain derivative are the exact derivatives of the energy of the charges on the
mesh.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from reann.electrostatics.ewald import self_potential
from reann.electrostatics.points import points_of, summed
from reann.electrostatics.slopes import Slopes
from reann.electrostatics.splines import factors_of
from reann.units import COULOMB


class Fineness(NamedTuple):
    """Accuracy of a mesh."""

    order: int
    """Of the splines."""
    per_sigma: float
    """Least number of mesh points in the length sigma."""


FINE = Fineness(8, 2.0)
"""Differences from the Ewald sum are about 1e-6 of potentials and 1e-5 of forces (RMS)."""


class Mesh:
    """A mesh of one system, for any charges of its atoms."""

    def __init__(
        self,
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "3 3"],
        sigma: float,
        fineness: Fineness = FINE,
    ) -> None:
        """Make the mesh of a cell; positions and cell in Å have no gradients."""
        order, per_sigma = fineness
        self.sigma, self.inverse = sigma, torch.linalg.inv(cell)
        self.sizes = [_good_size(float(a.norm()) * per_sigma / sigma, order) for a in cell]
        self.scale = torch.tensor(self.sizes).to(cell) * self.inverse
        self.points = points_of(positions @ self.scale, self.sizes, order)
        self.n_atoms = len(positions)
        self.G, self.by_square = influence(cell, tuple(self.sizes), sigma, order)

    def potentials(self, q: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """Return the potentials at the atoms, V."""
        return COULOMB * (self.filtered(q, self.G) - q * self_potential(self.sigma))

    def filtered(
        self, q: Float[Tensor, " atoms"], G: Float[Tensor, "a b c"]
    ) -> Float[Tensor, " atoms"]:
        """Return the sums over k of G exp(-i k . r) S(k) at the atoms."""
        return self.points.filtered(q, G)

    def highest_density(self) -> float:
        """Return the highest number of Gaussians of width sigma per cell volume, on the mesh."""
        k2 = _quadratic(self.sizes, self._of_numbers(torch.eye(3).to(self.inverse)))
        waves = self._waves(self.inverse.new_ones(self.n_atoms))
        density = torch.fft.irfftn(waves * torch.exp(-0.5 * self.sigma**2 * k2), s=self.sizes)
        return float(density.max()) * math.prod(self.sizes)

    def slopes(self, q: Float[Tensor, " atoms"]) -> Slopes:
        """Return energies of charges and their derivatives; see `ewald`."""
        S = self._waves(q)
        along = self._along(S)
        potential, by_place = self.points.read_slopes(summed(S.mul_(self.G), self.sizes))
        by_strain = 0.5 * (along - (q @ potential) * torch.eye(3).to(along))
        field = COULOMB * by_place @ self.scale.T
        potential = COULOMB * (potential - q * self_potential(self.sigma))
        strain = COULOMB * by_strain
        return Slopes(0.5 * q * potential, potential, q[:, None] * field, strain, field)

    def rates(
        self,
        q: Float[Tensor, " atoms"],
        field: Float[Tensor, "atoms 3"],
        by_time: Float[Tensor, " atoms"],
        velocity: Float[Tensor, "atoms 3"],
        strain: Float[Tensor, "3 3"],
    ) -> Float[Tensor, " atoms"]:
        """Return the rates of the potentials, V per unit of time.

        Parameters
        ----------
        q, field
            Charges, and the field that `slopes` gave for them.
        by_time, velocity, strain
            Rates of charges, of positions at constant strain, and of the strain.
        """
        mesh = self.points.spread_rates(q, by_time, velocity @ self.scale)
        waves = self.G * torch.fft.rfftn(mesh)
        if strain.any():
            along = _quadratic(self.sizes, self._of_numbers(0.5 * (strain + strain.T)))
            waves += (self.by_square * along - strain.trace() * self.G) * self._waves(q)
        rates = self.points.read(summed(waves, self.sizes)) - by_time * self_potential(self.sigma)
        return COULOMB * rates + (field * velocity).sum(1)

    def _waves(self, q: Float[Tensor, " atoms"]) -> Complex[Tensor, "a b c"]:
        """Return S of the charges."""
        return torch.fft.rfftn(self.points.spread(q))

    def _along(self, S: Complex[Tensor, "a b c"]) -> Float[Tensor, "3 3"]:
        """Return the sum over k of -2 dG/d(k^2) |S|^2 times k k."""
        power = S.real.square().addcmul_(S.imag, S.imag).mul_(self.by_square)
        x, y, z = _numbers(self.sizes, power)
        powers_of_x = torch.stack([torch.ones_like(x), x, x.square()])
        sums = (powers_of_x @ power.flatten(1)).view(3, len(y), len(z)) * _twice(z, self.sizes[2])
        by_y, by_z = sums.sum(2), sums.sum(1)
        xx, yy, zz = by_y[2].sum(), by_y[0] @ y.square(), by_z[0] @ z.square()
        xy, xz, yz = by_y[1] @ y, by_z[1] @ z, y @ sums[0] @ z
        of_numbers = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz]).view(3, 3)
        return (2.0 * math.pi) ** 2 * self.inverse @ of_numbers @ self.inverse.T

    def _of_numbers(self, form: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
        """Return a quadratic form of k as one of the whole numbers, k = 2 pi inverse n."""
        return (2.0 * math.pi) ** 2 * self.inverse.T @ form @ self.inverse


def influence(
    cell: Float[Tensor, "3 3"], sizes: tuple[int, ...], sigma: float, order: int
) -> tuple[Float[Tensor, "a b c"], Float[Tensor, "a b c"]]:
    """Return G / V without the factors of the splines, and -2 times its derivative by k^2.

    Those of the last cells are kept, because cells often do not change.
    """
    return _influence(tuple(cell.flatten().tolist()), cell.device, sizes, sigma, order)


@lru_cache(maxsize=4)
def _influence(
    cell: tuple[float, ...],
    device: torch.device,
    sizes: tuple[int, ...],
    sigma: float,
    order: int,
) -> tuple[Float[Tensor, "a b c"], Float[Tensor, "a b c"]]:
    lattice = torch.tensor(cell, dtype=torch.float64, device=device).view(3, 3)
    inverse = 2.0 * math.pi * torch.linalg.inv(lattice)
    k2 = _quadratic(sizes, inverse.T @ inverse)
    k2[0, 0, 0] = 1.0
    G = 4.0 * math.pi / torch.linalg.det(lattice).abs() * torch.exp(-0.5 * sigma**2 * k2) / k2
    G[0, 0, 0] = 0.0
    each = _numbers(sizes, lattice)
    b = [factors_of(n, order).to(lattice)[: len(x)] for n, x in zip(sizes, each, strict=True)]
    G *= b[0][:, None, None] * b[1][:, None] * b[2]
    return G, G * (2.0 / k2 + sigma**2)


def _numbers(sizes: Sequence[int], like: Tensor) -> list[Float[Tensor, " numbers"]]:
    """Return the whole numbers of the reciprocal vectors along each direction; half of the last."""
    last = len(sizes) - 1
    return [
        (torch.fft.rfftfreq if axis == last else torch.fft.fftfreq)(n, 1.0 / n).to(like)
        for axis, n in enumerate(sizes)
    ]


def _quadratic(sizes: Sequence[int], form: Float[Tensor, "3 3"]) -> Float[Tensor, "a b c"]:
    """Return n . form . n, for a symmetric form, of the numbers of all reciprocal vectors."""
    x, y, z = _numbers(sizes, form)
    plane = form[0, 0] * x.square()[:, None] + form[1, 1] * y.square()
    plane = plane + 2.0 * form[0, 1] * x[:, None] * y
    linear = 2.0 * (form[0, 2] * x[:, None] + form[1, 2] * y)
    return plane[..., None] + (linear[..., None] + form[2, 2] * z) * z


def _twice(z: Float[Tensor, " c"], n: int) -> Float[Tensor, " c"]:
    """Return 2 for numbers whose opposite vectors are omitted, else 1."""
    return torch.where((z == 0) | (z.abs() == n // 2), 1.0, 2.0).to(z)


def _good_size(least: float, order: int) -> int:
    """Return the next even number of mesh points whose factors are 2, 3 and 5."""
    n = max(math.ceil(least), order)
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1 and n % 2 == 0:
            return n
        n += 1
