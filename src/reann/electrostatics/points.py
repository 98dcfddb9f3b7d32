"""Sums over the mesh points around charges, whose weights are products of B-splines.

On the CPU, the native engine computes them if it is installed (`core/splines.hpp`). Without it, and
on other devices, PyTorch computes the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from reann import native
from reann.electrostatics.splines import splines_at

NATIVE_ORDERS = (4, 8)
"""Of splines, for which the native engine has kernels."""
IN_CACHE = 2**17
"""Number of mesh points up to which transforms of the native engine are faster than PyTorch's."""
BLOCK = 2**18
"""Number of mesh points around atoms that are computed at once."""
KEPT = 4**3
"""Number of points around an atom up to which the products of its weights are kept."""


class NativePoints:
    """Points in the native engine."""

    def __init__(self, place: Float[Tensor, "atoms 3"], sizes: list[int], order: int) -> None:
        self.sizes = sizes
        self.charges = native.core().Charges(_array(place), np.array(sizes, np.int32), order)

    def filtered(self, q: Tensor, G: Tensor) -> Tensor:
        """See `TorchPoints`."""
        if math.prod(self.sizes) > IN_CACHE:
            return self.read(convolved(self.spread(q), G))
        results = q.new_empty(self.charges.count)
        self.charges.filtered(_array(q), _array(G), results.numpy())
        return results

    def spread(self, q: Tensor) -> Tensor:
        """See `TorchPoints`."""
        mesh = q.new_zeros(self.sizes)
        self.charges.spread(_array(q), mesh.numpy())
        return mesh

    def spread_rates(self, q: Tensor, by_time: Tensor, moved: Tensor) -> Tensor:
        """See `TorchPoints`."""
        mesh = q.new_zeros(self.sizes)
        self.charges.spread_rates(_array(q), _array(by_time), _array(moved), mesh.numpy())
        return mesh

    def read(self, mesh: Tensor) -> Tensor:
        """See `TorchPoints`."""
        values = mesh.new_empty(self.charges.count)
        self.charges.read(_array(mesh), values.numpy())
        return values

    def read_slopes(self, mesh: Tensor) -> tuple[Tensor, Tensor]:
        """See `TorchPoints`."""
        values, slopes = mesh.new_empty(self.charges.count), mesh.new_empty(self.charges.count, 3)
        self.charges.read_slopes(_array(mesh), values.numpy(), slopes.numpy())
        return values, slopes


def convolved(mesh: Float[Tensor, "x y z"], G: Float[Tensor, "a b c"]) -> Float[Tensor, "x y z"]:
    """Return the sum over k of G S exp(i k . x), with S the transform of the mesh."""
    return summed(torch.fft.rfftn(mesh).mul_(G), list(mesh.shape))


def summed(waves: Complex[Tensor, "a b c"], sizes: list[int]) -> Float[Tensor, "x y z"]:
    """Return the sum over k of waves times exp(i k . x) on a mesh."""
    # One axis after the other two: `irfftn` takes two to four times as long.
    planes = torch.fft.ifftn(waves, dim=(0, 1), norm="forward")
    return torch.fft.irfft(planes, n=sizes[2], norm="forward")


def _array(values: Tensor) -> np.ndarray:
    return values.detach().contiguous().numpy()


class TorchPoints:
    """Points in PyTorch, on any device."""

    def __init__(self, place: Float[Tensor, "atoms 3"], sizes: list[int], order: int) -> None:
        self.sizes = sizes
        self.weights, self.w_slopes, self.index = splines_at(place, sizes, order)
        self.products = self._products(slice(None)) if order**3 <= KEPT else None

    def filtered(
        self, q: Float[Tensor, " atoms"], G: Float[Tensor, "a b c"]
    ) -> Float[Tensor, " atoms"]:
        """Return the sums over k of G exp(-i k . r) S(k) at the charges."""
        return self.read(convolved(self.spread(q), G))

    def spread(self, q: Float[Tensor, " atoms"]) -> Float[Tensor, "a b c"]:
        """Return the mesh with the charges."""
        mesh = q.new_zeros(math.prod(self.sizes))
        for block in self._blocks():
            if self.products is None:
                cube = self._products(block, q[block])
            else:
                cube = self.products[block] * q[block, None, None, None]
            self._add(cube, block, mesh)
        return mesh.view(self.sizes)

    def spread_rates(
        self,
        q: Float[Tensor, " atoms"],
        by_time: Float[Tensor, " atoms"],
        moved: Float[Tensor, "atoms 3"],
    ) -> Float[Tensor, "a b c"]:
        """Return the rate of the mesh from those of charges and of their places on the mesh."""
        mesh = q.new_zeros(math.prod(self.sizes))
        for block in self._blocks():
            weights, rates = self.weights[block], self.w_slopes[block] * moved[block, :, None]
            (x, y, z), (dx, dy, dz) = weights.unbind(1), rates.unbind(1)
            of_q, qx = q[block, None], q[block, None] * x
            plane = (by_time[block, None] * x + of_q * dx)[:, :, None] * y[:, None]
            plane += qx[:, :, None] * dy[:, None]
            cube = plane[..., None] * z[:, None, None]
            cube += (qx[:, :, None] * y[:, None])[..., None] * dz[:, None, None]
            self._add(cube, block, mesh)
        return mesh.view(self.sizes)

    def read(self, mesh: Float[Tensor, "a b c"]) -> Float[Tensor, " atoms"]:
        """Return the values of a mesh at the charges."""
        parts = []
        for block, near in self._near(mesh):
            if self.products is not None:
                parts.append((near * self.products[block]).flatten(1).sum(1))
                continue
            x, y, z = self.weights[block].unbind(1)
            in_plane = (near @ z[:, None, :, None])[..., 0]
            parts.append(((in_plane @ y[:, :, None])[..., 0] * x).sum(1))
        return torch.cat(parts)

    def read_slopes(
        self, mesh: Float[Tensor, "a b c"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "atoms 3"]]:
        """Return the values, and their slopes along the places on the mesh."""
        values, slopes = [], []
        for block, near in self._near(mesh):
            # Along z, y and x: the weights, and their slopes.
            x, y, z = torch.stack([self.weights[block], self.w_slopes[block]], 3).unbind(1)
            of_z = (near @ z[:, None]).transpose(2, 3)  # (atoms, x, kind of z, y)
            of_yz = (of_z @ y[:, None]).flatten(2)  # the last: 2 (kind of z) + (kind of y)
            of_xyz = x.transpose(1, 2) @ of_yz
            values.append(of_xyz[:, 0, 0])
            slopes.append(torch.stack([of_xyz[:, 1, 0], of_xyz[:, 0, 1], of_xyz[:, 0, 2]], 1))
        return torch.cat(values), torch.cat(slopes)

    def _products(
        self, block: slice, q: Float[Tensor, " atoms"] | None = None
    ) -> Float[Tensor, "atoms x y z"]:
        """Return the products of the weights of atoms, times their charges."""
        x, y, z = self.weights[block].unbind(1)
        x = x if q is None else q[:, None] * x
        return (x[:, :, None] * y[:, None])[..., None] * z[:, None, None]

    def _add(self, cube: Float[Tensor, "atoms x y z"], block: slice, mesh: Tensor) -> None:
        mesh.index_add_(0, self.index[block].view(-1), cube.view(-1))

    def _blocks(self) -> Iterator[slice]:
        """Yield the atoms in blocks whose mesh points fit into the cache of a processor."""
        n, size = len(self.weights), max(BLOCK // self.weights.shape[-1] ** 3, 1)
        return (slice(at, min(at + size, n)) for at in range(0, n, size))

    def _near(self, mesh: Float[Tensor, "a b c"]) -> Iterator[tuple[slice, Tensor]]:
        """Yield the values on the points around atoms, (atoms, x, y, z), block by block."""
        values = mesh.reshape(-1)
        for block in self._blocks():
            index = self.index[block]
            yield block, values.index_select(0, index.view(-1)).view(index.shape)


Points = NativePoints | TorchPoints
"""The points around the charges of a system."""


def points_of(place: Float[Tensor, "atoms 3"], sizes: list[int], order: int) -> Points:
    """Return the points of places, in units of the distances of mesh points; no gradients."""
    if place.device.type == "cpu" and order in NATIVE_ORDERS and native.available():
        return NativePoints(place, sizes, order)
    return TorchPoints(place, sizes, order)
