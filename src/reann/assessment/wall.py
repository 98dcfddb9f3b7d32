"""The repulsive wall of an energy curve: its height before the energy falls again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reann.assessment.outcome import Verdict

HIGH_WALL, LOW_WALL = 5.0, 1.0
"""eV; a fraction exp(-5 eV / kT) of head-on collisions has the first energy, 1e-25 at 1000 K; for
the second it is 1e-5."""
SHALLOW = 0.05
"""eV; a smaller decrease is a ripple."""
INNERMOST = 0.8
"""Times the sum of the covalent radii: no bond is shorter."""


@dataclass(frozen=True)
class Wall:
    """Energy of two atoms at distances below their minimum."""

    height: float
    """eV from the innermost minimum to where the energy starts to fall, or to the end of the
    curve."""
    turns_at: float | None
    """Distance in Å where the energy starts to fall; None if it never does."""
    lowest: float
    """Energy of the deepest minimum, eV."""
    lowest_at: float
    """Distance of the deepest minimum, Å."""


def wall_of(r: NDArray[np.float64], energy: NDArray[np.float64], contact: float) -> Wall:
    """Return the wall of an energy curve (eV) at increasing distances (Å).

    If the curve has a second minimum farther inside, at the distance of a bond, the wall is that of
    the second: atoms that cross a barrier to form a bond have not fallen into a hole.

    Parameters
    ----------
    contact
        Sum of the covalent radii, Å; minima are searched beyond `INNERMOST` times it.
    """
    outside = np.flatnonzero(r >= INNERMOST * contact)
    minimum = int(outside[np.argmin(energy[outside])]) if len(outside) else len(r) - 1
    lowest, lowest_at = float(energy[minimum]), float(r[minimum])
    top = _turn(energy, minimum)
    while top is not None:
        inside = outside[outside < top]
        inner = int(inside[np.argmin(energy[inside])]) if len(inside) else 0
        if not len(inside) or inner == inside[0]:  # falls on below the length of a bond
            return Wall(float(energy[top] - energy[minimum]), float(r[top]), lowest, lowest_at)
        minimum, top = inner, _turn(energy, inner)
    height = float(energy[: minimum + 1].max() - energy[minimum])
    return Wall(height, None, lowest, lowest_at)


def _turn(energy: NDArray[np.float64], minimum: int) -> int | None:
    """Return where a curve falls again inside a minimum; None if it does not."""
    inward = energy[minimum::-1]
    falls = np.flatnonzero(np.maximum.accumulate(inward) - inward > SHALLOW)
    return minimum - int(np.argmax(inward[: falls[0]])) if len(falls) else None


def verdict_of_wall(wall: Wall) -> Verdict:
    """Return the verdict; an energy that never falls passes, even if it ends low."""
    if wall.turns_at is None or wall.height >= HIGH_WALL:
        return Verdict.passes
    return Verdict.look if wall.height >= LOW_WALL else Verdict.fails
