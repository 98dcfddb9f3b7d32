"""Fingerprints that find a structure again whose coordinates were written with fewer digits.

The geometry is condensed to a few smooth sums over the atoms, blind to their order and to periodic
images. Each sum is divided by what rounding to 1e-3 Å changes it by, and cut into intervals; a
structure is recorded by a hash of its intervals, and looked up with those next to them. Structures
that differ by less than about 1e-3 Å (root mean square of all coordinates) may be taken for one.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.data.fingerprint import stored_part

ROUNDING = 1e-3 / np.sqrt(12)
"""Å, root mean square error of a coordinate with three decimals."""
INTERVAL = 8.0
"""Width of an interval in standard deviations of a sum: half of one is never left."""
WAVES, SHAPES = 6, 2
"""Sums over the atoms, and sums over the components of the lattice vectors."""
CHUNK = 1_000
"""Structures at once."""


def recorded(places: NDArray[np.float64], kinds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the shortened fingerprint of each structure, (structures,).

    Parameters
    ----------
    places, kinds
        As `condensed` returns them.
    """
    return _hashes(np.floor(places), kinds)


def looked_up(
    places: NDArray[np.float64], kinds: NDArray[np.uint64], known: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Return which structures are among those that are recorded, (structures,)."""
    here = np.floor(places)
    beside = here + np.where(places - here < 0.5, -1.0, 1.0)
    found = np.zeros(len(kinds), dtype=bool)
    for choice in product((False, True), repeat=places.shape[1]):
        found |= np.isin(_hashes(np.where(choice, beside, here), kinds), known)
    return found


def condensed(
    positions: NDArray[Any],
    numbers: NDArray[Any],
    cell: NDArray[Any],
    pbc: NDArray[Any],
    first_atom: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Return the sums of each structure in intervals, and a hash of its atoms and periodicity.

    Parameters
    ----------
    positions, numbers, cell, pbc, first_atom
        As in `reann.data.fingerprint.fingerprints`; every structure has atoms.
    """
    random = np.random.default_rng(7)
    constants = (random.integers(1 << 62, size=128, dtype=np.uint64) << np.uint64(1)) + np.uint64(1)
    weights = random.uniform(0.5, 1.5, size=(WAVES, 128))
    phases = random.uniform(0.0, 2 * np.pi, WAVES)
    indices = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]])
    free = random.normal(size=(WAVES, 3))
    shapes = random.normal(size=(SHAPES, 3, 3))
    places = np.empty((len(pbc), WAVES + SHAPES))
    kinds = np.empty(len(pbc), dtype=np.uint64)
    for start in range(0, len(pbc), CHUNK):
        part = slice(start, min(start + CHUNK, len(pbc)))
        first, last = first_atom[part.start], first_atom[part.stop]
        ends = first_atom[part.start : part.stop] - first
        sizes = np.diff(first_atom[part.start : part.stop + 1])
        z = np.asarray(numbers[first:last], dtype=np.int64)
        periodic = np.asarray(pbc[part], dtype=bool)
        box = np.where(periodic[:, :, None], cell[part], 0.0)
        # Waves of lattice periods along the lattice, and any waves in the directions beside it.
        inverse = np.linalg.pinv(box)
        beside = np.eye(3) - inverse @ box
        wave = 2 * np.pi * np.einsum("sij,kj->ski", inverse, indices)
        wave += np.einsum("sij,kj->ski", beside, free)
        system = np.repeat(np.arange(len(sizes)), sizes)
        angles = np.einsum("aki,ai->ak", wave[system], positions[first:last]) + phases
        sums = np.add.reduceat(weights.T[z] * np.cos(angles), ends)
        squares = np.add.reduceat(weights.T[z] ** 2, ends)
        error = ROUNDING * np.linalg.norm(wave, axis=2) * np.sqrt(squares)
        places[part, :WAVES] = sums / (INTERVAL * np.maximum(error, 1e-12))
        size = INTERVAL * ROUNDING * np.linalg.norm(shapes, axis=(1, 2))
        # The middle of an interval for structures without a lattice.
        places[part, WAVES:] = np.einsum("sij,kij->sk", box, shapes) / size + 0.5
        kinds[part] = np.add.reduceat(constants[z], ends)
        kinds[part] += (periodic @ [1, 2, 4]).astype(np.uint64) * constants[0]
    return places, kinds


def _hashes(intervals: NDArray[np.float64], kinds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the numbers of the intervals with the hash of the atoms."""
    with np.errstate(invalid="ignore"):  # absurdly large coordinates
        whole = intervals.astype(np.int64).astype(np.uint64)
    mixed = kinds.copy()
    for column in range(whole.shape[1]):
        mixed = (mixed ^ whole[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return stored_part(mixed)
