"""`Figure`: plots of the report as an object that a notebook shows and a file keeps."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reann import atomic_file
from reann.errors import UserError
from reann.report.document import document

WIDTH, HEIGHT = 380, 300
"""Pixels of a plot, as `svg.Axes` has by default."""


@dataclass(frozen=True, repr=False)
class Figure:
    """A drawing, in SVG.

    Attributes
    ----------
    title
        What is drawn.
    svg
        The text of an SVG file.
    """

    title: str
    svg: str

    def save(self, path: str | Path) -> None:
        """Write an SVG file; `UserError` for another suffix, and if it cannot be written."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise UserError(
                f"Figures are written as SVG; '{path.name}' has another suffix.",
                str(path),
                f"Name the file {path.stem}.svg; browsers and Inkscape convert it.",
            )
        atomic_file.write_text(path, self.svg)

    def __repr__(self) -> str:
        return f"{self.title}: a figure that notebooks show; .save('figure.svg') writes it."

    def _repr_html_(self) -> str:
        # As an image: its style does not reach the notebook.
        data = base64.b64encode(self.svg.encode()).decode()
        return f'<img alt="{self.title}" src="data:image/svg+xml;base64,{data}"/>'


def figure_of(title: str, plots: Sequence[str], columns: int = 2) -> Figure:
    """Return plots in rows of up to `columns`, each the result of `svg.Axes.render`.

    Raises
    ------
    UserError
        If there are no plots.
    """
    drawn = [plot for plot in plots if plot]
    if not drawn:
        raise UserError(f"{title}: there is nothing to draw.", fix="Use data with labels.")
    return Figure(title, document(drawn, WIDTH, HEIGHT, min(columns, len(drawn))))
