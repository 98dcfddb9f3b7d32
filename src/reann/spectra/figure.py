"""Figure of spectra: a panel for each curve, with its lines and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reann.report.document import document
from reann.report.svg import Axes
from reann.spectra.lines import Curve

WIDTH, HEIGHT = 760, 300
"""Pixels of a panel."""


class Lines(NamedTuple):
    """Sharp lines that a curve is made of."""

    wavenumbers: NDArray[np.float64]
    """cm^-1."""
    heights: NDArray[np.float64]
    """Height of each line after broadening."""


def figure(
    wavenumbers: NDArray[np.float64],
    curves: Sequence[Curve],
    about: str,
    lines: Mapping[str, Lines] | None = None,
) -> str:
    """Return an SVG file.

    Parameters
    ----------
    about
        Description, with the width of the lines.
    lines
        Lines by the name of their curve.
    """
    panels = [_panel(wavenumbers, curve, about, (lines or {}).get(curve.name)) for curve in curves]
    return document(panels, WIDTH, HEIGHT)


def _panel(wavenumbers: NDArray[np.float64], curve: Curve, about: str, lines: Lines | None) -> str:
    error = np.zeros_like(curve.values) if curve.error is None else curve.error
    low, high = float((curve.values - error).min()), float((curve.values + error).max())
    highest = 1.12 * high if high > 0 else 1.0
    axes = Axes(
        x=(0.0, float(wavenumbers[-1])),
        y=(min(1.05 * low, 0.0), highest),
        xlabel="wavenumber, cm⁻¹",
        ylabel=f"{curve.name}, {_raised(curve.unit)}",
        title=curve.name,
        description=f"{curve.name} in {curve.unit}; {about}.",
        width=WIDTH,
        height=HEIGHT,
    )
    if curve.error is not None:
        axes.band(wavenumbers, curve.values - error, curve.values + error)
    axes.line(wavenumbers, curve.values, "valid")
    if lines is not None:
        axes.sticks(lines.wavenumbers, lines.heights)
    axes.text(72.0, 28.0, _raised(about), "note")
    return axes.render()


def _raised(text: str) -> str:
    """Return a text with exponents of units as superscripts."""
    return text.replace("^-1", "⁻¹").replace("^4", "⁴")
