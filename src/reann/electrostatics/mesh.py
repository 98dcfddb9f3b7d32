"""Ewald's sum over reciprocal vectors on a mesh, with its first derivatives: smooth PME.

Charges are spread on a mesh by B-splines, so that all S(k) are one Fourier transform (Essmann et
al., J. Chem. Phys. 103, 8577, 1995). Because charges are Gaussians, the mesh contains the whole
energy. Forces and strain derivative are the exact derivatives of the energy of the charges on the
mesh.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from reann.electrostatics.ewald import self_potential
from reann.electrostatics.slopes import Slopes
from reann.electrostatics.splines import factors_of, splines_at
from reann.units import COULOMB


class Fineness(NamedTuple):
    """Accuracy of a mesh."""

    order: int
    """Of the splines."""
    per_sigma: float
    """Least number of mesh points in the length sigma."""


FINE = Fineness(8, 2.0)
"""Differences from the Ewald sum are about 1e-6 of potentials and 1e-5 of forces (RMS)."""
BLOCK = 2**18
"""Number of mesh points around atoms that are computed at once."""
KEPT = 4**3
"""Number of points around an atom up to which the products of its weights are kept."""


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
        self.weights, self.w_slopes, self.index = splines_at(
            positions @ self.scale, self.sizes, order
        )
        self.G, self.by_square = influence(cell, tuple(self.sizes), sigma, order)
        self.products = self._products(slice(None)) if order**3 <= KEPT else None

    def potentials(self, q: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """Return the potentials at the atoms, V."""
        return COULOMB * (self.filtered(q, self.G) - q * self_potential(self.sigma))

    def filtered(
        self, q: Float[Tensor, " atoms"], G: Float[Tensor, "a b c"]
    ) -> Float[Tensor, " atoms"]:
        """Return the sums over k of G exp(-i k . r) S(k) at the atoms."""
        return self._at_atoms(G * self._waves(q))

    def highest_density(self) -> float:
        """Return the highest number of Gaussians of width sigma per cell volume, on the mesh."""
        k2 = _quadratic(self.sizes, self._of_numbers(torch.eye(3).to(self.inverse)))
        waves = self._waves(self.weights.new_ones(len(self.weights)))
        density = torch.fft.irfftn(waves * torch.exp(-0.5 * self.sigma**2 * k2), s=self.sizes)
        return float(density.max()) * math.prod(self.sizes)

    def slopes(self, q: Float[Tensor, " atoms"]) -> Slopes:
        """Return energies of charges and their derivatives; see `ewald`."""
        S = self._waves(q)
        potential, by_place = self._with_slopes(self.G * S)
        by_strain = self._by_strain(S, q @ potential)
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
        waves = self.G * self._wave_rates(q, by_time, velocity @ self.scale)
        if strain.any():
            along = _quadratic(self.sizes, self._of_numbers(0.5 * (strain + strain.T)))
            waves += (self.by_square * along - strain.trace() * self.G) * self._waves(q)
        rates = self._at_atoms(waves) - by_time * self_potential(self.sigma)
        return COULOMB * rates + (field * velocity).sum(1)

    def _waves(self, q: Float[Tensor, " atoms"]) -> Complex[Tensor, "a b c"]:
        """Return S of the charges."""
        mesh = q.new_zeros(math.prod(self.sizes))
        for block in self._blocks():
            if self.products is None:
                cube = self._products(block, q[block])
            else:
                cube = self.products[block] * q[block, None, None, None]
            self._spread(cube, block, mesh)
        return torch.fft.rfftn(mesh.view(self.sizes))

    def _wave_rates(
        self,
        q: Float[Tensor, " atoms"],
        by_time: Float[Tensor, " atoms"],
        moved: Float[Tensor, "atoms 3"],
    ) -> Complex[Tensor, "a b c"]:
        """Return the rate of S from those of charges and of their places on the mesh."""
        mesh = q.new_zeros(math.prod(self.sizes))
        for block in self._blocks():
            weights, rates = self.weights[block], self.w_slopes[block] * moved[block, :, None]
            (x, y, z), (dx, dy, dz) = weights.unbind(1), rates.unbind(1)
            of_q, qx = q[block, None], q[block, None] * x
            plane = (by_time[block, None] * x + of_q * dx)[:, :, None] * y[:, None]
            plane += qx[:, :, None] * dy[:, None]
            cube = plane[..., None] * z[:, None, None]
            cube += (qx[:, :, None] * y[:, None])[..., None] * dz[:, None, None]
            self._spread(cube, block, mesh)
        return torch.fft.rfftn(mesh.view(self.sizes))

    def _products(
        self, block: slice, q: Float[Tensor, " atoms"] | None = None
    ) -> Float[Tensor, "atoms x y z"]:
        """Return the products of the weights of atoms, times their charges."""
        x, y, z = self.weights[block].unbind(1)
        x = x if q is None else q[:, None] * x
        return (x[:, :, None] * y[:, None])[..., None] * z[:, None, None]

    def _spread(self, cube: Float[Tensor, "atoms x y z"], block: slice, mesh: Tensor) -> None:
        mesh.index_add_(0, self.index[block].view(-1), cube.view(-1))

    def _blocks(self) -> Iterator[slice]:
        """Yield the atoms in blocks whose mesh points fit into the cache of a processor."""
        n, size = len(self.weights), max(BLOCK // self.weights.shape[-1] ** 3, 1)
        return (slice(at, min(at + size, n)) for at in range(0, n, size))

    def _near(self, waves: Complex[Tensor, "a b c"]) -> Iterator[tuple[slice, Tensor]]:
        """Yield a sum of waves on the points around atoms, (atoms, x, y, z), block by block."""
        potential = torch.fft.irfftn(waves, s=self.sizes, norm="forward").view(-1)
        for block in self._blocks():
            index = self.index[block]
            yield block, potential.index_select(0, index.view(-1)).view(index.shape)

    def _at_atoms(self, waves: Complex[Tensor, "a b c"]) -> Float[Tensor, " atoms"]:
        """Return a sum of waves at the atoms."""
        parts = []
        for block, near in self._near(waves):
            if self.products is not None:
                parts.append((near * self.products[block]).flatten(1).sum(1))
                continue
            x, y, z = self.weights[block].unbind(1)
            in_plane = (near @ z[:, None, :, None])[..., 0]
            parts.append(((in_plane @ y[:, :, None])[..., 0] * x).sum(1))
        return torch.cat(parts)

    def _with_slopes(
        self, waves: Complex[Tensor, "a b c"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "atoms 3"]]:
        """Return a sum of waves at the atoms, and its slopes along the places on the mesh."""
        values, slopes = [], []
        for block, near in self._near(waves):
            # Along z, y and x: the weights, and their slopes.
            x, y, z = torch.stack([self.weights[block], self.w_slopes[block]], 3).unbind(1)
            of_z = (near @ z[:, None]).transpose(2, 3)  # (atoms, x, kind of z, y)
            of_yz = (of_z @ y[:, None]).flatten(2)  # the last: 2 (kind of z) + (kind of y)
            of_xyz = x.transpose(1, 2) @ of_yz
            values.append(of_xyz[:, 0, 0])
            slopes.append(torch.stack([of_xyz[:, 1, 0], of_xyz[:, 0, 1], of_xyz[:, 0, 2]], 1))
        return torch.cat(values), torch.cat(slopes)

    def _by_strain(self, S: Tensor, energy: Float[Tensor, ""]) -> Float[Tensor, "3 3"]:
        """Return the strain derivative; `energy` is twice that of the waves."""
        power = _power(S, self.sizes[2]) * self.by_square
        x, y, z = _numbers(self.sizes, power)
        xy, xz, yz = x @ power.sum(2) @ y, x @ power.sum(1) @ z, y @ power.sum(0) @ z
        xx, yy, zz = (
            n.square() @ power.sum(others) for n, others in ((x, (1, 2)), (y, (0, 2)), (z, (0, 1)))
        )
        of_numbers = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz]).view(3, 3)
        along = (2.0 * math.pi) ** 2 * self.inverse @ of_numbers @ self.inverse.T
        return 0.5 * (along - energy * torch.eye(3).to(along))

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
