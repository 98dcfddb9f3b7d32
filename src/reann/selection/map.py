"""A page with a map of the pool in two dimensions, and the chosen structures."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import ase
import jinja2
import numpy as np
from numpy.typing import NDArray

from reann import atomic_file, strict_json
from reann.errors import counted
from reann.report.document import plot_style
from reann.report.scene import scene_of
from reann.report.svg import Axes
from reann.selection.result import Selection
from reann.terminal import printable

SHOWN = 24
"""Most structures that are drawn."""


def write_map(
    path: Path, selection: Selection, origins: Sequence[str], pool: Sequence[ase.Atoms]
) -> None:
    """Write a self-contained page; `origins` belong to the structures of the pool.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_resource("reann.selection", "map.html"))
    shown = []
    for order, (index, reason) in enumerate(zip(selection.indices, selection.reasons, strict=True)):
        if order == SHOWN:
            break
        data = strict_json.dumps(scene_of(pool[index], reason.atom), separators=(",", ":"))
        shown.append(
            {
                "number": order + 1,
                "formula": pool[index].get_chemical_formula(),
                "title": origins[index],
                "reason": str(reason),
                "scene": data.replace("<", "\\u003c"),
            }
        )
    page = template.render(
        chosen=counted(len(selection.indices), "structure"),
        pool=len(pool),
        known=len(selection.training_features),
        figure=figure(selection, origins),
        structures=shown,
        hidden=len(selection.indices) - len(shown),
        rejections=selection.rejections(),
        style=plot_style() + _resource("reann.report", "style.css"),
        viewer=_resource("reann.report", "viewer.js"),
    )
    atomic_file.write_text(path, printable(page))


def _resource(package: str, name: str) -> str:
    return (resources.files(package) / name).read_text(encoding="utf-8")


def figure(selection: Selection, origins: Sequence[str]) -> str:
    """Return a plot of training, pool and chosen structures in two principal components."""
    rows = np.flatnonzero(np.isfinite(selection.spread))
    known, pool = selection.training_features, selection.features[rows]
    plane, shares = principal_plane(np.concatenate([known, pool]))
    x_known, x = plane[: len(known)], plane[len(known) :]
    low, high = plane.min(0), plane.max(0)
    margin = 0.06 * np.maximum(high - low, 1e-9)
    (a, b), (c, d) = np.stack([low - margin, high + margin], axis=1)
    axes = Axes(
        x=(float(a), float(b)),
        y=(float(c), float(d)),
        xlabel=f"first principal component, {100 * shares[0]:.0f} % of the variance",
        ylabel=f"second, {100 * shares[1]:.0f} %",
        title="Map of the pool",
        description=f"{len(known)} training structures, {len(pool)} of the pool,"
        f" {len(selection.indices)} of them chosen.",
        width=900,
        height=560,
    )
    axes.dots(x_known[:, 0], x_known[:, 1], "many train")
    axes.dots(x[:, 0], x[:, 1], "many")
    place = {int(row): k for k, row in enumerate(rows)}
    for order, (index, reason) in enumerate(zip(selection.indices, selection.reasons, strict=True)):
        px, py = (float(v) for v in (axes.px(x[place[index], 0]), axes.py(x[place[index], 1])))
        axes.marks.append(f'<a href="#chosen-{order + 1}">')
        axes.circle(px, py, 6.0, "chosen", f"{order + 1}: {origins[index]}, {reason}")
        axes.marks.append("</a>")
    return axes.render()


def principal_plane(
    rows: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first two principal components, (rows, 2), and their fractions of the variance."""
    centered = rows - rows.mean(0)
    variances, axes = np.linalg.eigh(centered.T @ centered)
    total = max(float(variances.sum()), 1e-300)
    return centered @ axes[:, [-1, -2]], np.maximum(variances[[-1, -2]], 0.0) / total
