"""The section of the report on the uncertainty: coverage, and errors over standard deviations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.calibration import LEVEL, LEVELS, Calibration, Scale
from reann.errors import counted
from reann.evaluation.comparison import Evaluation
from reann.quantities import named
from reann.report.svg import Axes

BINS = 12
FEWEST = 10
"""Errors in a bin."""


def section_of(calibration: Calibration, evaluation: Evaluation) -> dict[str, Any]:
    """Return what the template shows: a text, two figures for each quantity, a table."""
    names = [name for name in ("energy", "forces") if name in evaluation.std]
    figures = [(reliability(evaluation, name), coverage(calibration, name)) for name in names]
    source = f"{calibration.number} draws of the last layer"
    if calibration.kind == "ensemble":
        source = f"the {calibration.number} members of the ensemble"
    about = (
        f"The uncertainty is the spread of {source}, multiplied by a factor so that {LEVEL} % of"
        f" the errors of the {counted(calibration.structures, 'structure')} of the validation set"
        " are smaller. To measure the coverage, factors are determined from one half of the set"
        " and tested on the other. It holds for structures from the same distribution as the"
        " validation set. If dynamics leave the range of the training data, a large uncertainty is"
        " a warning, but its value can be far too small."
    )
    return {
        "about": about,
        "figures": [pair for pair in figures if all(pair)],
        "levels": LEVELS,
        "rows": {name: _cells(scale) for name, scale in calibration.scales().items()},
    }


def _cells(scale: Scale) -> list[str]:
    covered = [f"{scale.coverage[x]:.1f}" if x in scale.coverage else "–" for x in LEVELS]
    return [str(scale.n), f"{scale.factor:.3g}", *covered]


def _lengths(values: NDArray) -> NDArray:
    return np.sqrt((values.reshape(len(values), -1) ** 2).sum(1))


def reliability(evaluation: Evaluation, name: str) -> str:
    """Return the error over the standard deviation: the 68th percentile in bins of equal size."""
    if name not in evaluation.reference:
        return ""
    error = _lengths(evaluation.predicted[name] - evaluation.reference[name])
    std = _lengths(evaluation.std[name])
    known = np.isfinite(error) & np.isfinite(std) & (std > 0)
    error, std = error[known], std[known]
    n_bins = min(BINS, len(error) // FEWEST)
    if n_bins < 2:
        return ""
    order = np.argsort(std, kind="stable")
    x = np.array([np.median(std[part]) for part in np.array_split(order, n_bins)])
    y = np.array(
        [np.quantile(error[part], float(LEVEL) / 100) for part in np.array_split(order, n_bins)]
    )
    unit, kind = named(name).unit, "length of the force error" if name == "forces" else "error"
    both = np.concatenate([x, y])
    limits = (0.0, 1.1 * float(both.max()))
    axes = Axes(
        x=limits,
        y=limits,
        xlabel=f"standard deviation, {unit}",
        ylabel=f"{LEVEL} % of the errors below, {unit}",
        title=f"Errors of the {name} over the standard deviation",
        description=f"The {LEVEL}th percentile of the {kind} in {n_bins} bins of the standard"
        f" deviation, {counted(len(error), 'value')}; on the diagonal the calibration is right.",
    )
    axes.line(limits, limits, "diagonal")
    axes.line(x, y, "valid")
    for a, b in zip(x, y, strict=True):
        axes.circle(float(axes.px(a)), float(axes.py(b)), 3.5, "best", f"{b:.3g} {unit}")
    return axes.render()


def coverage(calibration: Calibration, name: str) -> str:
    """Return the measured coverage over the promised one."""
    scale = calibration.energy if name == "energy" else calibration.forces.get("all")
    if scale is None or len(scale.coverage) < 2:
        return ""
    x = np.array([float(level) for level in scale.coverage])
    y = np.array(list(scale.coverage.values()))
    axes = Axes(
        x=(40.0, 100.0),
        y=(min(40.0, float(y.min()) - 2.0), 100.0),
        xlabel="promised, % of the errors",
        ylabel="measured, %",
        title=f"Coverage of the {name}",
        description="; ".join(
            f"{a:g} % promised, {b:g} % measured" for a, b in zip(x, y, strict=True)
        ),
    )
    axes.line([40.0, 100.0], [40.0, 100.0], "diagonal")
    axes.line(x, y, "valid")
    for a, b in zip(x, y, strict=True):
        axes.circle(float(axes.px(a)), float(axes.py(b)), 3.5, "best", f"{b:g} % of {a:g} %")
    return axes.render()
