"""Fingerprints that identify a structure even if its coordinates were written with fewer digits.

The geometry is condensed to a few smooth sums over the atoms, independent of their order and
periodic image. Each sum is divided by the change caused by rounding to 1e-3 Å and discretized into
intervals; a structure is recorded by a hash of its intervals, and looked up also with the adjacent
intervals. Structures that differ by less than about 1e-3 Å (root mean square of all coordinates)
may be considered equal.
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
"""Width of an interval in standard deviations of a sum; changes are smaller than half of it."""
WAVES, SHAPES = 6, 2
"""Number of sums over the atoms, and over the components of the lattice vectors."""
CHUNK = 1_000
"""Structures processed at once."""


def recorded(sums: NDArray[np.float64], kinds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the shortened fingerprint of each structure, (structures,).

    Parameters
    ----------
    sums, kinds
        As returned by `condensed`.
    """
    return _hashes(np.floor(sums), kinds)


def looked_up(
    sums: NDArray[np.float64], kinds: NDArray[np.uint64], known: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Return which structures are recorded, (structures,)."""
    intervals = np.floor(sums)
    neighbors = intervals + np.where(sums - intervals < 0.5, -1.0, 1.0)
    recorded = np.zeros(len(kinds), dtype=bool)
    for choice in product((False, True), repeat=sums.shape[1]):
        recorded |= np.isin(_hashes(np.where(choice, neighbors, intervals), kinds), known)
    return recorded


def condensed(
    positions: NDArray[Any],
    numbers: NDArray[Any],
    cell: NDArray[Any],
    pbc: NDArray[Any],
    first_atom: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Return the sums of each structure in units of intervals, and a hash of atoms and periodicity.

    Parameters
    ----------
    positions, numbers, cell, pbc, first_atom
        As in `reann.data.fingerprint.fingerprints`; all structures must have atoms.
    """
    random = np.random.default_rng(7)
    constants = (random.integers(1 << 62, size=128, dtype=np.uint64) << np.uint64(1)) + np.uint64(1)
    weights = random.uniform(0.5, 1.5, size=(WAVES, 128))
    phases = random.uniform(0.0, 2 * np.pi, WAVES)
    indices = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]])
    free = random.normal(size=(WAVES, 3))
    shapes = random.normal(size=(SHAPES, 3, 3))
    intervals = np.empty((len(pbc), WAVES + SHAPES))
    kinds = np.empty(len(pbc), dtype=np.uint64)
    for start in range(0, len(pbc), CHUNK):
        part = slice(start, min(start + CHUNK, len(pbc)))
        first, last = first_atom[part.start], first_atom[part.stop]
        ends = first_atom[part.start : part.stop] - first
        sizes = np.diff(first_atom[part.start : part.stop + 1])
        z = np.asarray(numbers[first:last], dtype=np.int64)
        periodic = np.asarray(pbc[part], dtype=bool)
        box = np.where(periodic[:, :, None], cell[part], 0.0)
        # Lattice-periodic waves along the lattice, and arbitrary waves in the other directions.
        inverse = np.linalg.pinv(box)
        beside = np.eye(3) - inverse @ box
        wave = 2 * np.pi * np.einsum("sij,kj->ski", inverse, indices)
        wave += np.einsum("sij,kj->ski", beside, free)
        system = np.repeat(np.arange(len(sizes)), sizes)
        angles = np.einsum("aki,ai->ak", wave[system], positions[first:last]) + phases
        sums = np.add.reduceat(weights.T[z] * np.cos(angles), ends)
        squares = np.add.reduceat(weights.T[z] ** 2, ends)
        error = ROUNDING * np.linalg.norm(wave, axis=2) * np.sqrt(squares)
        intervals[part, :WAVES] = sums / (INTERVAL * np.maximum(error, 1e-12))
        size = INTERVAL * ROUNDING * np.linalg.norm(shapes, axis=(1, 2))
        # Structures without a lattice are at the center of an interval.
        intervals[part, WAVES:] = np.einsum("sij,kij->sk", box, shapes) / size + 0.5
        kinds[part] = np.add.reduceat(constants[z], ends)
        kinds[part] += (periodic @ [1, 2, 4]).astype(np.uint64) * constants[0]
    return intervals, kinds


def _hashes(intervals: NDArray[np.float64], kinds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Combine the indices of the intervals with the hash of the atoms."""
    with np.errstate(invalid="ignore"):  # absurdly large coordinates
        whole = intervals.astype(np.int64).astype(np.uint64)
    mixed = kinds.copy()
    for column in range(whole.shape[1]):
        mixed = (mixed ^ whole[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return stored_part(mixed)
