"""Forces along the shortest distances: compressed bonds repel, with a known typical stiffness.

For each atom and its nearest neighbor, the component of (F_i - F_j) along the bond is compared with
the bond length, separately for each pair of elements. Sign and unit of the forces can be checked
in this way even if no two structures are similar.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_BONDS = 20_000
"""Maximum number kept for each pair of elements."""
FEWEST_BONDS = 60
ALL_STRUCTURES, STRIDE = 200, 7
"""Number of structures that are all used; after them, one of seven is."""
PAIR = 1000
"""Code of a pair of elements: smaller atomic number times this, plus the larger one."""
HYDROGEN_BONDS = ((1, 6), (1, 7), (1, 8))
WIDEST = 0.15
"""Maximum standard deviation of bond lengths over their median."""
SHORTEST = 0.3
"""Å; closer atoms are not bonds."""


class Bonds:
    """Collects nearest-neighbor distances and the forces along them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], list[Array]] = defaultdict(list)
        self._counts: dict[tuple[int, int], int] = defaultdict(int)
        self._structures = 0
        self._origins: list[str] = []

    def add(
        self,
        numbers: NDArray[Any],
        forces: Array | None,
        center: NDArray[np.int64],
        neighbor: NDArray[np.int64],
        vector: Array,
        *,
        origin: str,
    ) -> None:
        """Add the nearest neighbor of each atom of a structure.

        Parameters
        ----------
        forces
            (atoms, 3), eV/Å
        vector
            (pairs, 3), Å, from `center` to `neighbor`
        origin
            `file#index` of the structure.
        """
        if forces is None or not len(center) or not np.isfinite(forces).all():
            return
        self._structures += 1
        if self._structures > ALL_STRUCTURES and self._structures % STRIDE:
            return
        distance = np.linalg.norm(vector, axis=1)
        order = np.lexsort((distance, center))
        nearest = order[np.diff(center[order], prepend=-1) > 0]
        nearest = nearest[distance[nearest] > SHORTEST]
        i, j, length = center[nearest], neighbor[nearest], distance[nearest]
        along = np.einsum("bx,bx->b", forces[j] - forces[i], vector[nearest]) / (2 * length)
        first, second = numbers[i].astype(np.int64), numbers[j].astype(np.int64)
        pair = PAIR * np.minimum(first, second) + np.maximum(first, second)
        rows = np.stack([length, along, np.full(len(along), len(self._origins))], axis=1)
        self._origins.append(origin)
        for code in np.unique(pair).tolist():
            key = divmod(code, PAIR)
            if self._counts[key] < MOST_BONDS:
                members = rows[pair == code]
                self._kept[key].append(members)
                self._counts[key] += len(members)

    def by_elements(self) -> dict[tuple[int, int], Array]:
        """Return length (Å) and force (eV/Å, repulsion positive) for pairs with enough bonds."""
        return {elements: rows[:, :2] for elements, rows in self._numerous().items()}

    def by_structure(self) -> dict[str, float]:
        """Return the correlation of shortness and repulsion of the bonds in each structure.

        It is 1 if shorter bonds repel more, -1 if they repel less. Only bonds of hydrogen are used,
        which are stiff: in crystals other neighbors matter too, and random geometries have no
        bonds.
        """
        size = len(self._origins)
        both, lengths, sizes = np.zeros(size), np.zeros(size), np.zeros(size)
        hydrogen = [rows for pair, rows in self._numerous().items() if pair in HYDROGEN_BONDS]
        stiff = [rows for rows in hydrogen if rows[:, 0].std() < WIDEST * np.median(rows[:, 0])]
        for rows in stiff:
            values = rows[:, :2] - np.median(rows[:, :2], axis=0)
            length, along = (values / np.maximum(values.std(axis=0), 1e-12)).T
            structure = rows[:, 2].astype(np.int64)
            both -= np.bincount(structure, length * along, size)
            lengths += np.bincount(structure, length**2, size)
            sizes += np.bincount(structure, along**2, size)
        known = lengths * sizes > 0.0
        values = both[known] / np.sqrt(lengths[known] * sizes[known])
        return dict(zip(np.array(self._origins)[known].tolist(), values.tolist(), strict=True))

    def _numerous(self) -> dict[tuple[int, int], Array]:
        """Return length, force and structure index for pairs of elements with enough bonds."""
        bonds = {k: np.concatenate(v) for k, v in self._kept.items()}
        return {k: v for k, v in bonds.items() if len(v) >= FEWEST_BONDS and np.ptp(v[:, 0]) > 0}

    def alignment(self) -> tuple[dict[tuple[int, int], float], float]:
        """Return the `correlation` of each pair of elements and the mean (zero without bonds)."""
        bonds = self.by_elements()
        ranks = {elements: correlation(rows) for elements, rows in bonds.items()}
        weights = [len(rows) for rows in bonds.values()]
        return ranks, float(np.average(list(ranks.values()), weights=weights)) if bonds else 0.0


def correlation(rows: Array) -> float:
    """Return the rank correlation of shortness and repulsion of bonds."""
    ranks = np.argsort(np.argsort(rows, axis=0, kind="stable"), axis=0, kind="stable").astype(float)
    if np.ptp(rows[:, 1]) == 0.0:
        return 0.0
    return -float(np.corrcoef(ranks.T)[0, 1])


def stiffness(rows: Array) -> float:
    """Return minus the slope of force against length, with outliers clipped, eV/Å^2."""
    low, high = np.percentile(rows, [2, 98], axis=0)
    length, along = (np.clip(rows, low, high) - np.clip(rows, low, high).mean(axis=0)).T
    return -float(np.sum(length * along) / max(np.sum(length**2), 1e-12))
