"""Energy against the work of the forces along a line: detects jumps and inconsistent forces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

JUMP, LARGE_JUMP = 1e-5, 1e-3
"""eV; the second is the thermal energy of one degree of freedom at 23 K."""
ROUNDING = 1e-7
"""eV; smaller residuals are rounding errors, not jumps."""
HALVINGS = 8
"""Number of times an interval is halved. Each halving divides the residual of a smooth energy by
32; that of a jump does not change."""

Values = NDArray[np.float64]
Along = Callable[[float], tuple[float, float]]
"""Energy (eV) and its derivative from the forces (eV/Å) at a position (Å) on a line."""


def work_residuals(s: Values, energy: Values, slope: Values) -> Values:
    """Return |E(b) - E(a) - work| for intervals of three points each, by Simpson's rule, in eV.

    For a smooth function the residual is of fifth order in the length of the interval; a jump of
    the energy appears in full.
    """
    h = s[2::2] - s[:-2:2]
    work = h / 6.0 * (slope[:-2:2] + 4.0 * slope[1::2] + slope[2::2])
    return np.abs(energy[2::2] - energy[:-2:2] - work)


def jumps(along: Along, s: Values, energy: Values, slope: Values) -> Values:
    """Return the energy changes without work in eV, for intervals of three points each.

    Intervals with a residual above rounding are halved, so that a steep energy is not mistaken for
    a jump.
    """
    result = work_residuals(s, energy, slope)
    for k in np.flatnonzero(~(result <= ROUNDING)):
        result[k] = _narrowed(along, s[2 * k : 2 * k + 3], result[k])
    return result


def _narrowed(along: Along, points: Values, residual: float) -> float:
    for _ in range(HALVINGS):
        a, middle, b = points
        halves = [np.array([x, 0.5 * (x + y), y]) for x, y in ((a, middle), (middle, b))]
        each = []
        for half in halves:
            values = np.array([along(float(x)) for x in half])
            each.append(float(work_residuals(half, values[:, 0], values[:, 1])[0]))
        larger = int(np.argmax(np.nan_to_num(each, nan=np.inf)))
        points, residual = halves[larger], each[larger]
        if residual <= ROUNDING:
            break
    return residual
