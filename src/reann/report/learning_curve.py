"""The page of a learning curve: figure, table, and whether more data would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reann.error_measures import key
from reann.evaluation.power_law import FLAT, PowerLaw
from reann.evaluation.tables import number
from reann.quantities import label_names, named
from reann.report.svg import Axes
from reann.report.template import rendered, resource


def page(name: str, part: str, law: PowerLaw, points: Sequence[Mapping[str, Any]]) -> str:
    """Return the page.

    Parameters
    ----------
    part
        Which errors these are: `test` or `validation`.
    points
        `fraction`, `n_train` and errors as in `Evaluation.summary`, of each training.
    """
    labels = [x for x in label_names() if all(key(x, "rmse") in p for p in points)]
    rows = [["structures", *(f"{x} RMSE, {named(x).error_unit.shown}" for x in labels)]]
    rows += [[str(p["n_train"]), *(number(p[key(x, "rmse")]) for x in labels)] for p in points]
    chosen = (
        "the validation set also chose the best epoch."
        if part == "validation"
        else ("no training has seen it.")
    )
    return rendered(
        resource("learning_curve.html"),
        name=name,
        part=part,
        sentence=law.sentence(),
        more=law.more_data_help,
        flat=round(100 * FLAT),
        note=chosen,
        figure=figure(law),
        entries={"valid": "trainings", "baseline": "power law"},
        rows=rows,
    )


def figure(law: PowerLaw) -> str:
    """Return the errors over the number of structures, both logarithmic, and the fit to twice."""
    n, unit = np.asarray(law.n_train, float), named(law.label).error_unit.shown
    beyond = np.geomspace(n[0], 2 * n[-1], 50)
    errors = np.concatenate([law.errors, law.at(beyond)])
    ticks = [*n, 2 * n[-1]]
    axes = Axes(
        (float(np.log2(n[0])) - 0.2, float(np.log2(2 * n[-1])) + 0.2),
        (float(errors.min()) / 1.15, float(errors.max()) * 1.15),
        "training structures",
        f"{law.label} RMSE, {unit}",
        "Learning curve",
        law.sentence(),
        ylog=True,
        xnames=[(float(np.log2(x)), f"{x:.0f}") for x in ticks],
        width=760,
        height=340,
    )
    axes.line(np.log2(beyond), law.at(beyond), "baseline")
    axes.line(np.log2(n), law.errors, "valid")
    for x, error in zip(n, law.errors, strict=True):
        place = float(axes.px(np.log2(x))), float(axes.py(error))
        axes.circle(*place, 4.0, "best", f"{x:.0f} structures: {number(error)} {unit}")
    return axes.render()
