"""Figures of checks: curves with automatic limits, and bars on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.assessment.outcome import Figure
from reann.report.svg import RIGHT, SUPERSCRIPTS, Axes

Series = tuple[NDArray[Any], NDArray[Any]]
STYLES: tuple[str, ...] = ("valid", "predicted", "reference", "train")
"""Styles of lines, in the order of use; `valid` is the main color."""
WIDTH_OF_BARS = 460
"""Pixels of a figure of bars."""


def curves(
    series: Mapping[str, Series],
    *,
    xlabel: str,
    ylabel: str,
    caption: str,
    description: str = "",
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    ylog: bool = False,
    zero: bool = False,
    marks: Sequence[float] = (),
    band: Series | None = None,
    points: Series | None = None,
    styles: Sequence[str] = STYLES,
) -> Figure:
    """Return a plot of curves, with a legend if there are several.

    Parameters
    ----------
    series
        Name: x and y. At most four.
    x, y
        Limits; by default those of the data with a margin.
    zero
        Draw the line y = 0.
    marks
        Values of x with a vertical line.
    band
        Lower and upper edge of a band around the first curve.
    points
        Points that are drawn as disks, x and y.
    styles
        Of the lines.
    """
    all_x = np.concatenate([np.asarray(a, float) for a, _ in series.values()])
    all_y = np.concatenate([np.asarray(b, float) for _, b in series.values()])
    axes = Axes(
        x or _limits(all_x, 0.0),
        y or _limits(all_y, 0.06, log=ylog),
        xlabel,
        ylabel,
        caption,
        description or caption,
        ylog=ylog,
    )
    if zero and axes.y[0] < 0.0 < axes.y[1]:
        axes.line(list(axes.x), [0.0, 0.0], "diagonal")
    for mark in marks:
        if axes.x[0] <= mark <= axes.x[1]:
            axes.line([mark, mark], list(axes.y), "baseline")
    if band is not None:
        axes.band(next(iter(series.values()))[0], *(np.clip(edge, *axes.y) for edge in band))
    for style, (a, b) in zip(styles, series.values(), strict=False):
        axes.line(a, _inside(np.asarray(b, float), axes.y), style)
    if points is not None:
        axes.dots(*points, "few")
    legend = dict(zip(styles, series, strict=False)) if len(series) > 1 else {}
    return Figure(axes.render(), caption, legend)


def log_bars(
    values: Mapping[str, float], limit: float, *, xlabel: str, caption: str, least: float
) -> Figure:
    """Return horizontal bars of positive numbers, and a line at the limit for passing.

    Parameters
    ----------
    least
        Value at which bars begin; smaller values have no bar.
    """
    low, high = np.log10(least), np.log10(max(*values.values(), 10.0 * limit))
    left, right, row = 130, WIDTH_OF_BARS - RIGHT, 26
    height = row * len(values) + 66
    scale = (right - left) / (high - low)

    def at(value: float) -> float:
        return left + (float(np.log10(max(value, least))) - low) * scale

    bottom = row * len(values) + 16
    parts = [
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH_OF_BARS} {height}">',
        f"<title>{caption}</title>",
    ]
    for power in range(int(np.ceil(low)), int(np.floor(high)) + 1, 2):
        x = at(10.0**power)
        label = f"10{str(power).translate(SUPERSCRIPTS)}"
        parts.append(f'<path class="grid" d="M{x:.1f} 10V{bottom}"/>')
        parts.append(f'<text class="tick mid" x="{x:.1f}" y="{bottom + 18}">{label}</text>')
    for number, (name, value) in enumerate(values.items()):
        y = 14 + row * number
        size = max(at(value) - left, 1.5)
        parts.append(f'<text class="axis end" x="{left - 10}" y="{y + 14}">{name}</text>')
        parts.append(
            f'<path class="bars" d="M{left} {y}h{size:.1f}v18h-{size:.1f}z">'
            f"<title>{name}: {value:.1e}</title></path>"
        )
    x = at(limit)
    parts.append(f'<path class="line baseline" d="M{x:.1f} 8V{bottom}"/>')
    parts.append(
        f'<text class="axis mid" x="{(left + right) / 2}" y="{height - 8}">{xlabel}</text>'
    )
    return Figure("".join([*parts, "</svg>"]), caption)


def _limits(
    values: NDArray[np.float64], margin: float, *, log: bool = False
) -> tuple[float, float]:
    good = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not len(good):
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(good.min()), float(good.max())
    if log:
        return low / 1.3, high * 1.3
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-12):
        return low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    return low - margin * (high - low), high + margin * (high - low)


def _inside(values: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """Break a line where it leaves the frame."""
    slack = 1e-9 * (limits[1] - limits[0])
    return np.where((values >= limits[0] - slack) & (values <= limits[1] + slack), values, np.nan)
