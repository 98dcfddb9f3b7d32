"""Measures of the positions and forces of a structure, for its record."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FILLED = 2.5
"""Å, maximum distance of the outermost atoms and their images; larger for molecules in a box."""


def relative_torque(positions: Array, forces: Array) -> float | None:
    """Return the net torque about the center relative to that of forces in random directions.

    None for fewer than three atoms, whose torque may vanish for any forces.
    """
    if len(positions) < 3:
        return None
    arms = positions - positions.mean(axis=0)
    usual = float(np.sqrt(np.sum(arms**2 * 2 / 3) * np.mean(np.sum(forces**2, axis=1))))
    if usual < 1e-6:
        return None
    x, y, z = arms.T
    a, b, c = forces.T
    torque = (y @ c - z @ b, z @ a - x @ c, x @ b - y @ a)
    return float(np.linalg.norm(torque)) / usual


def fills_lattice(positions: Array, cell: Array) -> bool:
    """Return whether the atoms and their images are close along all three lattice vectors."""
    volume = abs(float(np.linalg.det(cell)))
    if not volume > 1e-6 or len(positions) < 2:
        return False
    heights = volume / np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    free = (1.0 - np.ptp(positions @ np.linalg.inv(cell), axis=0)) * heights
    return bool((np.abs(free) < FILLED).all())


def fills_smaller_lattice(positions: Array, cell: Array, factor: float) -> bool:
    """Return whether the atoms fill the lattice scaled by a factor but not the lattice itself."""
    return not fills_lattice(positions, cell) and fills_lattice(positions, factor * cell)


def last_digit(values: Array) -> float:
    """Return the size of the last decimal of the values; 0 for more than three decimals."""
    decimals = 3
    if not np.array_equal(np.round(values, decimals), values):
        return 0.0
    while decimals > 0 and np.array_equal(np.round(values, decimals - 1), values):
        decimals -= 1
    return 10.0**-decimals


def is_coarse(positions: Array) -> bool:
    """Return whether all positions have at most two decimals."""
    first = positions[:1]
    if (np.abs(first - np.round(first, 2)) >= 1e-9).any():
        return False
    return bool((np.abs(positions - np.round(positions, 2)) < 1e-9).all())


def shape_of(array: NDArray[Any], n_atoms: int, place: str) -> str:
    """Describe the shape of a value, for example `atoms × 3`."""
    kind = "text" if array.dtype.kind in "UOS" else ""
    if array.ndim == 0:
        return kind or "number"
    per_atom = place == "arrays" or (place == "results" and array.ndim == 2)
    sizes = [str(n) for n in array.shape]
    if per_atom and array.shape[0] == n_atoms:
        sizes[0] = "atoms"
    return " × ".join(sizes) + (f" {kind}" if kind else "")
