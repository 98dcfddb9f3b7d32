"""Coordinates in data files of the original: collisions, and images along open directions.

The original takes for every atom the image that is nearest to the first atom, along all three
lattice vectors, periodic or not. Along periodic ones this changes nothing. A slab that was wrapped
into a cell with an open third direction is joined by it; without it, its atoms would be torn off.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

TOO_CLOSE = 0.3
"""Å; atoms of real structures are never closer."""

FARTHEST_FRACTION = 2.5
"""Fractional coordinates are rarely larger."""


class Image(Enum):
    """The image of a structure along directions that are not periodic."""

    SAME = "as in the file, and in the original"
    MOVED = "not as in the file, but as in the original"
    KEPT = "as in the file, but not as in the original"


def collide(positions: NDArray[np.float64]) -> bool:
    """Return whether two of the first atoms are too close, ignoring periodic images."""
    first_atoms = positions[:200]
    distances = np.linalg.norm(first_atoms[:, None] - first_atoms[None], axis=-1)
    return bool(distances[np.triu_indices(len(first_atoms), 1)].min(initial=np.inf) < TOO_CLOSE)


def image_of_original(
    positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: Sequence[bool]
) -> tuple[NDArray[np.float64], Image]:
    """Join the atoms of a wrapped slab; return its positions in Å, and which image this is.

    Only structures with a periodic direction are joined, if all atoms are inside one cell and the
    slab becomes thinner. A molecule in a cell has its positions as in the file.
    """
    open_directions = ~np.array(pbc)
    if not open_directions.any() or abs(np.linalg.det(cell)) < np.finfo(float).eps:
        return positions, Image.SAME
    fractions = positions @ np.linalg.inv(cell)
    shifts = np.where(open_directions, np.round(fractions - fractions[0]), 0.0)
    if not shifts.any():
        return positions, Image.SAME
    before, after = np.ptp(fractions, axis=0), np.ptp(fractions - shifts, axis=0)
    moves = shifts.any(axis=0)
    if any(pbc) and (before[moves] <= 1).all() and (after[moves] < before[moves]).all():
        return positions - shifts @ cell, Image.MOVED
    return positions, Image.KEPT
