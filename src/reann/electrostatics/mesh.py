"""Ewald's sum over reciprocal vectors on a mesh, with its first derivatives: smooth PME.

Charges are spread on a mesh by B-splines, so that all S(k) are one Fourier transform (Essmann et
al., J. Chem. Phys. 103, 8577, 1995). Because charges are Gaussians, the mesh contains the whole
energy. Forces and strain derivative are the exact derivatives of the energy of the charges on the
mesh. Relative differences from Ewald's sum are about 1e-6.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from reann.electrostatics.ewald import self_potential
from reann.units import COULOMB


class Fineness(NamedTuple):
    """Accuracy of a mesh."""

    order: int
    """Of the splines."""
    per_sigma: float
    """Least number of mesh points in the length sigma."""


FINE = Fineness(8, 2.0)
"""Relative differences of energies and forces from Ewald's sum are about 1e-6."""


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
        place = torch.tensor(self.sizes).to(cell) * (positions @ self.inverse)
        self.weights, self.w_slopes, self.index = _splines(place, self.sizes, order)
        self.G, self.k, self.k2 = _influence(cell, self.inverse, self.sizes, sigma, order)

    def potentials(self, q: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """Return the potentials at the atoms, V."""
        return COULOMB * (self.filtered(q, self.G) - q * self_potential(self.sigma))

    def filtered(
        self, q: Float[Tensor, " atoms"], G: Float[Tensor, "a b c"]
    ) -> Float[Tensor, " atoms"]:
        """Return the sums over k of G exp(-i k . r) S(k) at the atoms."""
        x, y, z = self.weights.unbind(1)
        near = (self._near(G * self._waves(q)) @ z[:, None, :, None])[..., 0]
        return ((near @ y[:, :, None])[..., 0] * x).sum(1)

    def highest_density(self) -> float:
        """Return the highest number of Gaussians of width sigma per cell volume, on the mesh."""
        k2 = self.k.square().sum(-1)  # of which k2 differs at k = 0
        waves = self._waves(self.weights.new_ones(len(self.weights)))
        density = torch.fft.irfftn(waves * torch.exp(-0.5 * self.sigma**2 * k2), s=self.sizes)
        return float(density.max()) * math.prod(self.sizes)

    def slopes(self, q: Float[Tensor, " atoms"]) -> Slopes:
        """Return energies of charges and their derivatives; see `ewald`."""
        S = self._waves(q)
        near, weights, slopes = self._near(self.G * S), self.weights, self.w_slopes
        # Contracted along z, y and x: the potential and its three slopes.
        z = (near @ weights[:, 2, None, :, None])[..., 0]
        dz = (near @ slopes[:, 2, None, :, None])[..., 0]
        y, dy = ((z @ w[:, 1, :, None])[..., 0] for w in (weights, slopes))
        dz = (dz @ weights[:, 1, :, None])[..., 0]
        phi = (y * weights[:, 0]).sum(1) - q * self_potential(self.sigma)
        by_place = [(y * slopes[:, 0]).sum(1), *((d * weights[:, 0]).sum(1) for d in (dy, dz))]
        sizes = torch.tensor(self.sizes).to(q)
        gradient = q[:, None] * (torch.stack(by_place, 1) * sizes) @ self.inverse.T
        strain = self._by_strain(S)
        return Slopes(0.5 * COULOMB * q * phi, COULOMB * phi, COULOMB * gradient, COULOMB * strain)

    def _waves(self, q: Float[Tensor, " atoms"]) -> Complex[Tensor, "a b c"]:
        """Return S of the charges."""
        spread = self.weights[:, 0, :, None, None] * self.weights[:, 1, None, :, None]
        spread = q[:, None, None, None] * spread * self.weights[:, 2, None, None, :]
        mesh = q.new_zeros(math.prod(self.sizes))
        mesh.index_add_(0, self.index.view(-1), spread.view(-1))
        return torch.fft.rfftn(mesh.view(self.sizes))

    def _near(self, waves: Complex[Tensor, "a b c"]) -> Float[Tensor, "atoms x y z"]:
        """Return a sum of waves on the mesh points around the atoms."""
        potential = torch.fft.irfftn(waves, s=self.sizes).view(-1) * math.prod(self.sizes)
        return potential[self.index.view(-1)].view(self.index.shape)

    def _by_strain(self, S: Complex[Tensor, "a b c"]) -> Float[Tensor, "3 3"]:
        power = _power(S, self.sizes[2]) * self.G
        along = (power * (2.0 / self.k2 + self.sigma**2)).view(-1, 1) * self.k.view(-1, 3)
        return 0.5 * (self.k.view(-1, 3).T @ along - power.sum() * torch.eye(3).to(power))


def _splines(
    place: Float[Tensor, "atoms 3"], sizes: list[int], order: int
) -> tuple[
    Float[Tensor, "atoms 3 order"], Float[Tensor, "atoms 3 order"], Int[Tensor, "atoms x y z"]
]:
    """Return M(w + j), its derivative, and the mesh points that they belong to."""
    first = place.floor()
    w = (place - first)[..., None]
    values, lower = torch.ones_like(w), torch.ones_like(w)
    for n in range(2, order + 1):
        lower = values
        x = w + torch.arange(n).to(w)
        zero = torch.zeros_like(w)
        left, right = torch.cat([values, zero], -1), torch.cat([zero, values], -1)
        values = (x * left + (n - x) * right) / (n - 1)
    zero = torch.zeros_like(w)
    slopes = torch.cat([lower, zero], -1) - torch.cat([zero, lower], -1)
    size = torch.tensor(sizes, device=place.device)
    points = (first.long()[..., None] - torch.arange(order, device=place.device)) % size[:, None]
    x, y, z = points.unbind(1)
    plane = x[:, :, None] * sizes[1] + y[:, None]
    return values, slopes, plane[..., None] * sizes[2] + z[:, None, None]


def _influence(
    cell: Tensor, inverse: Tensor, sizes: list[int], sigma: float, order: int
) -> tuple[Float[Tensor, "a b c"], Float[Tensor, "a b c 3"], Float[Tensor, "a b c"]]:
    """Return G / V without the factors of the splines, k, and k^2 (1 for k = 0)."""
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
    b = [_euler(n, order).to(cell)[: len(x)] for n, x in zip(sizes, each, strict=True)]
    return G * b[0][:, None, None] * b[1][:, None] * b[2], k, k2


def _euler(n: int, order: int) -> Float[Tensor, " n"]:
    """Return |b(m)|^2, the factors that convert splines to exponentials."""
    at_points = torch.ones(1, dtype=torch.float64)  # M at 1, 2, ...
    for degree in range(3, order + 1):
        x = torch.arange(1, degree).to(at_points)
        zero = torch.zeros(1).to(at_points)
        left, right = torch.cat([at_points, zero]), torch.cat([zero, at_points])
        at_points = (x * left + (degree - x) * right) / (degree - 1)
    turn = 2.0 * math.pi / n * torch.arange(n, dtype=torch.float64)
    phase = turn[:, None] * torch.arange(order - 1, dtype=torch.float64)
    real, imaginary = phase.cos() @ at_points, phase.sin() @ at_points
    return 1.0 / (real.square() + imaginary.square())


def _power(S: Tensor, n: int) -> Float[Tensor, "a b c"]:
    """Return |S|^2, doubled if the opposite vector is omitted."""
    twice = torch.full((S.shape[-1],), 2.0, dtype=torch.float64, device=S.device)
    twice[0] = 1.0
    if n % 2 == 0:
        twice[-1] = 1.0
    return (S.real.square() + S.imag.square()) * twice


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
