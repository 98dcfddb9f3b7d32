"""The plots of the report: learning curves, parity, histograms of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.error_measures import key
from reann.errors import counted
from reann.evaluation.comparison import Evaluation
from reann.evaluation.pairs import independent, pairs
from reann.evaluation.tables import number
from reann.quantities import named
from reann.report.svg import Axes

MOST_DOTS = 2500
"""More points are drawn as a density."""
CELLS = 110
LEVELS = 8


def learning_curve(
    name: str, history: Sequence[Mapping[str, Any]], baseline: Mapping[str, float]
) -> str:
    """Return the RMSE of a label over the epochs; empty if it was not recorded.

    The dashed line is the error without a network.
    """
    epochs = np.array([_number(row.get("epoch")) for row in history])
    curves = {
        part: np.array([_number(row.get(f"{part}_{key(name, 'rmse')}")) for row in history])
        for part in ("train", "valid")
    }
    curves = {part: y for part, y in curves.items() if (y > 0).any()}
    if not curves:
        return ""
    bottom = _number(baseline.get(key(name, "rmse")))
    values = np.concatenate([*curves.values(), [bottom]])
    values = values[np.isfinite(values) & (values > 0)]
    last = "; ".join(f"{part} {number(y[np.isfinite(y)][-1])}" for part, y in curves.items())
    axes = Axes(
        x=(float(np.nanmin(epochs)), float(max(np.nanmax(epochs), np.nanmin(epochs) + 1))),
        y=(values.min() / 1.25, values.max() * 1.35),
        ylog=True,
        xwhole=True,
        xlabel="epoch",
        ylabel=f"{name} RMSE, {named(name).error_unit.shown}",
        title=f"Learning curve of the {name}",
        description=f"RMSE in {named(name).error_unit.shown} over the epochs; final: {last}.",
    )
    if np.isfinite(bottom) and bottom > 0:
        axes.line(axes.x, [bottom, bottom], "baseline")
    for part, y in curves.items():
        axes.line(epochs, y, part)
    if "valid" in curves:
        y = curves["valid"]
        best = int(np.nanargmin(np.where(y > 0, y, np.nan)))
        label = (
            f"lowest: {number(y[best])} {named(name).error_unit.shown} at epoch {epochs[best]:g}"
        )
        axes.circle(float(axes.px(epochs[best])), float(axes.py(y[best])), 4.0, "best", label)
    return axes.render()


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def parity(evaluation: Evaluation, name: str) -> str:
    """Return prediction against reference, as dots or a density; empty without references."""
    x, y = pairs(evaluation, name)
    if not len(x):
        return ""
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    margin = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
    limits = (low - margin, high + margin)
    summary = evaluation.summary()  # not of x and y, which lack half of a symmetric matrix
    rmse, mae = (summary[key(name, measure)] for measure in ("rmse", "mae"))
    shown = "relative " if name == "energy" else ""
    axes = Axes(
        x=limits,
        y=limits,
        xlabel=f"reference {shown}{named(name).kind_of_value}, {named(name).value_unit}",
        ylabel=f"predicted, {named(name).value_unit}",
        title=f"Parity of the {name}",
        description=f"{counted(len(x), 'value')}; RMSE {number(rmse)}, MAE {number(mae)}"
        f" {named(name).error_unit.shown}.",
    )
    axes.line(limits, limits, "diagonal")
    if len(x) <= MOST_DOTS:
        axes.dots(x, y, "few" if len(x) < 300 else "many")
    else:
        _density(axes, x, y)
    axes.text(72.0, 30.0, f"RMSE {number(rmse)} {named(name).error_unit.shown}", "note")
    axes.text(72.0, 46.0, f"MAE {number(mae)} {named(name).error_unit.shown}", "note")
    return axes.render()


def _density(axes: Axes, x: NDArray, y: NDArray) -> None:
    """Draw the number of points in each cell of a grid, in logarithmic steps."""
    px, py = axes.px(x), axes.py(y)
    size = (axes.px(axes.x[1]) - axes.px(axes.x[0])) / CELLS
    cells, counts = np.unique(
        np.stack([np.floor(px / size), np.floor(py / size)]), axis=1, return_counts=True
    )
    level = np.log(counts) / max(np.log(counts.max()), 1e-9)
    step = np.minimum((level * LEVELS).astype(int), LEVELS - 1)
    for n in np.unique(step):
        corners = cells[:, step == n] * size
        axes.squares(corners[0], corners[1], float(size), "cell", 0.25 + 0.75 * (n + 1) / LEVELS)


def histogram(evaluation: Evaluation, name: str) -> str:
    """Return the histogram of the errors; empty without references."""
    residuals = evaluation.residuals().get(name)
    if residuals is None:
        return ""
    residuals = independent(name, residuals)
    errors = residuals[np.isfinite(residuals)]
    size = np.abs(errors)
    limit = float(np.quantile(size, 0.995)) if len(size) > 50 else float(size.max())
    limit = 1.05 * limit or 1.0
    # Rice's rule, odd so that one bin is centered on zero.
    n_bins = 2 * int(np.clip(len(errors) ** (1 / 3), 3, 25)) + 1
    counts, edges = np.histogram(errors, bins=n_bins, range=(-limit, limit))
    share = 100 * counts / len(errors)
    outside = len(errors) - int(counts.sum())
    axes = Axes(
        x=(-limit, limit),
        y=(0.0, 1.12 * float(share.max()) or 1.0),
        xlabel=f"error of the {named(name).kind_of_value}, {named(name).error_unit.shown}",
        ylabel="values, %",
        title=f"Errors of the {name}",
        description=(
            f"Histogram of {counted(len(errors), 'error')}; mean {number(float(errors.mean()))}, "
            f"median of the absolute value {number(float(np.median(size)))} "
            f"{named(name).error_unit.shown}."
        ),
    )
    left, top = axes.px(edges), axes.py(share)
    base = float(axes.py(0.0))
    d = "".join(f"H{left[i]:.1f}V{top[i]:.1f}H{left[i + 1]:.1f}" for i in range(n_bins))
    axes.marks.append(f'<path class="bars" d="M{left[0]:.1f} {base:.1f}{d}V{base:.1f}Z"/>')
    axes.line([0.0, 0.0], axes.y, "diagonal")
    if outside:
        outliers = "outlier" if outside == 1 else "outliers"
        axes.text(axes.width - 20.0, 30.0, f"{outside} {outliers} not shown", "note end")
    return axes.render()


def labels_of(evaluation: Evaluation) -> list[str]:
    """Return the labels that have references."""
    return list(evaluation.residuals())
