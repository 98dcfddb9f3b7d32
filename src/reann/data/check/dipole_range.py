"""Dipoles of periodic structures that end sharply where a program moves them to another branch.

Programs give the dipole of a cell, in units of the polarization quantum (an electron charge times a
lattice vector), as the one between -1/2 and 1/2 or between 0 and 1, or twice that for electrons in
pairs. Dipoles that were moved into such a range fill it up to both ends, and none is outside,
whereas a continuous distribution decreases gradually.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from reann.data.check.branches import BRANCH_ADVICE, cell_of
from reann.data.check.finding import MOST_EXAMPLES, Finding

Array = NDArray[np.float64]

RANGES = ((-0.5, 0.5), (0.0, 1.0), (-1.0, 1.0), (0.0, 2.0))
"""Ranges that programs use, in units of the quantum."""
END, TOLERANCE = 0.05, 1e-3
"""Width of an end of a range, as a fraction of the range, and rounding of the dipoles."""
FEWEST, FEWEST_OF_AXIS = 10, 3
"""Minimum number of dipoles near each end, of all axes and of an axis."""


class DipoleRange:
    """Collects dipoles of periodic structures, then searches for sharp ends of their ranges."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, list[tuple[str, Array]]] = defaultdict(list)

    def add(self, atoms: Atoms, origin: str, labels: Mapping[str, Any]) -> None:
        """Keep the dipole (e Å) of a structure that is periodic in three directions."""
        dipole = labels.get("dipole")
        if dipole is None or not atoms.pbc.all() or (cell := cell_of(atoms)) is None:
            return
        reduced = np.asarray(dipole @ np.linalg.inv(cell), float)
        if np.isfinite(reduced).all():
            self._groups[atoms.numbers.tobytes()].append((origin, reduced))

    def finding(self) -> Finding | None:
        """Report structures whose dipoles are near the sharp ends of a range."""
        for group in self._groups.values():
            dipoles = np.array([dipole for _, dipole in group])
            for low, high in RANGES:
                at_end = _at_ends(dipoles, low, high)
                if at_end is None:
                    continue
                origins = [group[k][0] for k in np.flatnonzero(at_end)]
                return Finding(
                    "dipole-range",
                    "warning",
                    f"all dipoles are between {low:g} and {high:g} times an electron charge times"
                    " the lattice vectors, up to both ends: they were moved into this range, so"
                    " that similar structures are on different branches of the polarization",
                    BRANCH_ADVICE,
                    len(origins),
                    tuple(origins[:MOST_EXAMPLES]),
                )
        return None


def _at_ends(dipoles: Array, low: float, high: float) -> NDArray[np.bool_] | None:
    """Return which dipoles (n, 3) are near the ends; None unless the ends are sharp."""
    width = high - low
    if dipoles.min() < low - TOLERANCE or dipoles.max() > high + TOLERANCE:
        return None
    at_low, at_high = dipoles < low + END * width, dipoles > high - END * width
    # On the same axis, unlike those of a polar crystal: at an end of one axis, zero on the others.
    axes = (at_low.sum(0) >= FEWEST_OF_AXIS) & (at_high.sum(0) >= FEWEST_OF_AXIS)
    if min(at_low[:, axes].sum(), at_high[:, axes].sum()) < FEWEST:
        return None
    return np.any((at_low | at_high)[:, axes], axis=1)
