"""Forces along the shortest distances: compressed bonds repel, and with a stiffness that is known.

For each atom and its nearest neighbor, (F_i - F_j) along the bond is compared with the length of
the bond, element pair by element pair. No second structure is needed, so that sign and unit of the
forces are checked even where no two structures are alike.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_BONDS = 20_000
"""Kept of each pair of elements."""
FEWEST_BONDS = 60
ALL_STRUCTURES, EVERY = 200, 7
"""So many structures are used, and one of every seven after them."""
PAIR = 1000
"""Two atomic numbers in one, the smaller one times this."""
HYDROGEN_BONDS = ((1, 6), (1, 7), (1, 8))
WIDEST = 0.15
"""Standard deviation of the lengths of bonds over their median."""
SHORTEST = 0.3
"""Å; closer atoms are not bonds."""


class Bonds:
    """Collects the length of nearest-neighbor distances and the force along them."""

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
            Of the structure, `file#index`.
        """
        if forces is None or not len(center) or not np.isfinite(forces).all():
            return
        self._structures += 1
        if self._structures > ALL_STRUCTURES and self._structures % EVERY:
            return
        distance = np.linalg.norm(vector, axis=1)
        order = np.lexsort((distance, center))
        nearest = order[np.diff(center[order], prepend=-1) > 0]
        nearest = nearest[distance[nearest] > SHORTEST]
        i, j, length = center[nearest], neighbor[nearest], distance[nearest]
        along = np.einsum("bx,bx->b", forces[j] - forces[i], vector[nearest]) / (2 * length)
        one, other = numbers[i].astype(np.int64), numbers[j].astype(np.int64)
        pair = PAIR * np.minimum(one, other) + np.maximum(one, other)
        rows = np.stack([length, along, np.full(len(along), len(self._origins))], axis=1)
        self._origins.append(origin)
        for code in np.unique(pair).tolist():
            key = divmod(code, PAIR)
            if self._counts[key] < MOST_BONDS:
                members = rows[pair == code]
                self._kept[key].append(members)
                self._counts[key] += len(members)

    def by_elements(self) -> dict[tuple[int, int], Array]:
        """Return length (Å) and force along it (eV/Å, repulsion positive) of enough bonds."""
        return {elements: rows[:, :2] for elements, rows in self._enough().items()}

    def by_structure(self) -> dict[str, float]:
        """Return for each structure how its bonds repel: 1 if the shorter the more, -1 if less.

        Only bonds of hydrogen count, which are stiff: in crystals the other neighbors decide, too,
        and random geometries have no bonds.
        """
        size = len(self._origins)
        both, lengths, sizes = np.zeros(size), np.zeros(size), np.zeros(size)
        some = [rows for pair, rows in self._enough().items() if pair in HYDROGEN_BONDS]
        stiff = [rows for rows in some if rows[:, 0].std() < WIDEST * np.median(rows[:, 0])]
        for rows in stiff:
            values = rows[:, :2] - np.median(rows[:, :2], axis=0)
            length, along = (values / np.maximum(values.std(axis=0), 1e-12)).T
            which = rows[:, 2].astype(np.int64)
            both -= np.bincount(which, length * along, size)
            lengths += np.bincount(which, length**2, size)
            sizes += np.bincount(which, along**2, size)
        known = lengths * sizes > 0.0
        values = both[known] / np.sqrt(lengths[known] * sizes[known])
        return dict(zip(np.array(self._origins)[known].tolist(), values.tolist(), strict=True))

    def _enough(self) -> dict[tuple[int, int], Array]:
        """Return length, force and number of the structure of enough bonds."""
        bonds = {k: np.concatenate(v) for k, v in self._kept.items()}
        return {k: v for k, v in bonds.items() if len(v) >= FEWEST_BONDS and np.ptp(v[:, 0]) > 0}

    def alignment(self) -> tuple[dict[tuple[int, int], float], float]:
        """Return `correlation` for each pair of elements, and its mean, zero without bonds."""
        every = self.by_elements()
        ranks = {elements: correlation(rows) for elements, rows in every.items()}
        weights = [len(rows) for rows in every.values()]
        return ranks, float(np.average(list(ranks.values()), weights=weights)) if every else 0.0


def correlation(rows: Array) -> float:
    """Return the rank correlation between how short a bond is and how strongly it repels."""
    ranks = np.argsort(np.argsort(rows, axis=0, kind="stable"), axis=0, kind="stable").astype(float)
    if np.ptp(rows[:, 1]) == 0.0:
        return 0.0
    return -float(np.corrcoef(ranks.T)[0, 1])


def stiffness(rows: Array) -> float:
    """Return minus the slope of the force over the length, outliers clipped, eV/Å^2."""
    low, high = np.percentile(rows, [2, 98], axis=0)
    length, along = (np.clip(rows, low, high) - np.clip(rows, low, high).mean(axis=0)).T
    return -float(np.sum(length * along) / max(np.sum(length**2), 1e-12))
