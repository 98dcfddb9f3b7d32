"""Tables of spectra for the terminal, within 80 columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from reann.errors import counted
from reann.spectra.lines import Curve
from reann.spectra.vibrations import HarmonicSpectrum
from reann.terminal import plain_table

MOST_ROWS = 60
"""If there are more modes, the strongest are shown."""
MOST_PEAKS = 20
WEAKEST = 0.03
"""Peaks below this fraction of the highest are not shown."""


def modes(spectrum: HarmonicSpectrum) -> Table:
    """Return a table of the vibrations, imaginary ones marked with an i."""
    rows = _shown(spectrum)
    n_modes = len(spectrum.wavenumbers)
    title = f"Vibrations: {n_modes}"
    if len(rows) < n_modes:
        title += f", the {len(rows)} strongest of them"
    table = plain_table(title)
    columns = {
        "mode": [str(i + 1) for i in rows],
        "wavenumber\ncm^-1": [
            f"{abs(x):.1f}{'i' if x < 0 else ' '}" for x in spectrum.wavenumbers[rows]
        ],
        "infrared\nkm/mol": _numbers(spectrum.infrared, rows, 2),
        "Raman activity\nÅ^4/u": _numbers(spectrum.raman, rows, 2),
        "depolarization\nratio": _numbers(spectrum.depolarization, rows, 3),
    }
    columns = {heading: cells for heading, cells in columns.items() if cells}
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def peaks(wavenumbers: NDArray[np.float64], curve: Curve) -> Table:
    """Return a table of the highest peaks of a curve, with their errors."""
    table = plain_table(f"Peaks: {curve.name}")
    for heading in ("wavenumber\ncm^-1", f"height\n{curve.unit}", "error"):
        table.add_column(heading, justify="right", no_wrap=True)
    error = np.full(len(wavenumbers), np.nan) if curve.error is None else curve.error
    for i in _peaks_of(curve.values):
        table.add_row(f"{wavenumbers[i]:.0f}", f"{curve.values[i]:.4g}", f"{error[i]:.2g}")
    return table


def notes(spectrum: HarmonicSpectrum, largest_force: float) -> list[str]:
    """Return notes and warnings about a harmonic spectrum."""
    lines = []
    if spectrum.infrared is None:
        lines.append("The model has no dipoles, so there are no infrared intensities.")
    if (charges := spectrum.sum_of_born_charges) is not None:
        size = np.abs(charges).max()
        lines.append(f"Sum of the Born charges: largest entry {size:.1e} e; it should be zero.")
    if n := int(spectrum.imaginary.sum()):
        lines.append(
            f"Warning: {counted(n, 'wavenumber')} {'is' if n == 1 else 'are'} imaginary: the"
            " structure is not a minimum. Displace the atoms along the mode, and relax again."
        )
    if spectrum.largest_force > largest_force:
        lines.append(
            f"Warning: the largest force is {spectrum.largest_force:.4f} eV/Å: the structure is not"
            " at a minimum, and wavenumbers are inaccurate."
        )
    return lines


def _shown(spectrum: HarmonicSpectrum) -> NDArray[np.int64]:
    """Return the indices of the modes to show, in order: the strongest if there are many."""
    n_modes = len(spectrum.wavenumbers)
    strength = np.zeros(n_modes)
    for values in (spectrum.infrared, spectrum.raman):
        if values is not None and values.max() > 0:
            strength = np.maximum(strength, values / values.max())
    strength[spectrum.imaginary] = np.inf
    return np.sort(np.argsort(-strength, kind="stable")[:MOST_ROWS])


def _numbers(values: NDArray[np.float64] | None, rows: NDArray[np.int64], digits: int) -> list[str]:
    if values is None:
        return []
    return ["–" if np.isnan(x) else f"{x:.{digits}f}" for x in values[rows]]


def _peaks_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of the highest local maxima, in ascending order."""
    inner = values[1:-1]
    at = 1 + np.flatnonzero((inner > values[:-2]) & (inner >= values[2:]))
    at = at[values[at] > WEAKEST * values.max()]
    return np.sort(at[np.argsort(-values[at])[:MOST_PEAKS]])
