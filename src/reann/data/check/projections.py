"""A few numbers that tell geometries apart, blind to a shift and to rounding."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_PROJECTIONS = 6


def project(positions: Array, cells: Array) -> list[tuple[float, ...]]:
    """Project geometries on fixed random directions of unit length, blind to a shift of all atoms.

    Rounding positions to 1e-5 Å moves a projection by less than 1e-5 Å, while geometries that
    differ agree in all projections only by an improbable chance. Unlike a hash of rounded
    numbers there is no edge at which equal geometries fall apart.

    Parameters
    ----------
    positions
        (structures, atoms, 3), all with the same number of atoms.
    cells
        (structures, 3, 3)
    """
    rows = positions.shape[1] + 3
    weights = _directions(1 << (rows - 1).bit_length())[:, : 3 * rows]
    with np.errstate(invalid="ignore"):  # positions that are not finite have a finding of their own
        centered = positions - positions.mean(axis=1, keepdims=True)
        vectors = np.concatenate([cells, centered], axis=1)
        values = vectors.reshape(len(vectors), 3 * rows) @ weights.T / np.sqrt(3 * rows)
    return [tuple(row) for row in values.tolist()]


@lru_cache(maxsize=4)
def _directions(rows: int) -> Array:
    """Return random numbers (projections, 3 rows); more rows begin with the same numbers."""
    numbers = np.random.default_rng(20).normal(size=(rows, N_PROJECTIONS, 3))
    return np.ascontiguousarray(numbers.transpose(1, 0, 2)).reshape(N_PROJECTIONS, 3 * rows)
