"""The plot of a quantity over time or steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reann.report.svg import Axes

MOST_POINTS = 1000
"""Further points would not be visible: each is the mean of its neighbors."""


def course(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    xlabel: str,
    ylabel: str,
    *,
    logarithmic: bool = False,
) -> str:
    """Return a line through the finite values; empty if there are none."""
    x, y = _thinned(np.asarray(x, float)), _thinned(np.asarray(y, float))
    visible = y[np.isfinite(y) & (y > 0 if logarithmic else np.isfinite(y))]
    if not len(visible):
        return ""
    low, high = float(visible.min()), float(visible.max())
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    limits = (low / 1.25, high * 1.25) if logarithmic else (low - margin, high + margin)
    axes = Axes(
        x=(float(x[0]), float(x[-1]) if x[-1] > x[0] else float(x[0]) + 1.0),
        y=limits,
        xlabel=xlabel,
        ylabel=ylabel,
        title=ylabel,
        description=f"From {y[0]:.6g} to {y[-1]:.6g}; lowest {low:.6g}, highest {high:.6g}.",
        ylog=logarithmic,
    )
    axes.line(x, y, "valid")
    return axes.render()


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(values) <= MOST_POINTS:
        return values
    return np.array([part.mean() for part in np.array_split(values, MOST_POINTS)])
