"""A few numbers per geometry that identify it, independent of translation and rounding."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_PROJECTIONS = 6


def project(positions: Array, cells: Array) -> list[tuple[float, ...]]:
    """Project geometries on fixed random unit vectors; translations of all atoms do not matter.

    Rounding positions to 1e-5 Å changes a projection by less than 1e-5 Å, whereas different
    geometries are very unlikely to agree in all projections. Unlike with a hash of rounded
    numbers, nearly equal geometries are never separated by a rounding boundary.

    Parameters
    ----------
    positions
        (structures, atoms, 3), all with the same number of atoms.
    cells
        (structures, 3, 3)
    """
    rows = positions.shape[1] + 3
    weights = _directions(1 << (rows - 1).bit_length())[:, : 3 * rows]
    with np.errstate(invalid="ignore"):  # non-finite positions are reported by another check
        centered = positions - positions.mean(axis=1, keepdims=True)
        vectors = np.concatenate([cells, centered], axis=1)
        values = vectors.reshape(len(vectors), 3 * rows) @ weights.T / np.sqrt(3 * rows)
    return [tuple(row) for row in values.tolist()]


@lru_cache(maxsize=4)
def _directions(rows: int) -> Array:
    """Return random numbers (projections, 3 rows); the first ones do not depend on `rows`."""
    numbers = np.random.default_rng(20).normal(size=(rows, N_PROJECTIONS, 3))
    return np.ascontiguousarray(numbers.transpose(1, 0, 2)).reshape(N_PROJECTIONS, 3 * rows)
