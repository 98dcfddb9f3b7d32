"""Files of spectra: curves as CSV, all results as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.spectra.lines import Curve
from reann.spectra.vibrations import HarmonicSpectrum


def as_csv(wavenumbers: NDArray[np.float64], curves: Sequence[Curve]) -> str:
    """Return the curves as columns, with their errors if known."""
    columns = {"wavenumber (cm^-1)": wavenumbers}
    for curve in curves:
        columns[f"{curve.name} ({curve.unit})"] = curve.values
        if curve.error is not None:
            columns[f"error of {curve.name} ({curve.unit})"] = curve.error
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{x:.6g}" for x in row] for row in zip(*columns.values(), strict=True))
    return text.getvalue()


def modes_as_json(spectrum: HarmonicSpectrum, atoms: ase.Atoms) -> dict[str, Any]:
    """Return the modes and the structure; units are in the names."""
    columns = {
        "wavenumber_per_cm": np.abs(spectrum.wavenumbers),
        "is_imaginary": spectrum.imaginary,
        "infrared_km_per_mol": spectrum.infrared,
        "raman_activity_A4_per_u": spectrum.raman,
        "depolarization_ratio": spectrum.depolarization,
        "displacements_per_sqrt_u": spectrum.vectors,
    }
    lists = {name: each.tolist() for name, each in columns.items() if each is not None}
    charges = spectrum.sum_of_born_charges
    return {
        "symbols": atoms.get_chemical_symbols(),
        "positions_A": atoms.positions.tolist(),
        "cell_A": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
        "largest_force_eV_per_A": spectrum.largest_force,
        "asymmetry_of_hessian": spectrum.asymmetry,
        "sum_of_born_charges_e": None if charges is None else charges.tolist(),
        "modes": [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)],
    }


def curves_as_json(wavenumbers: NDArray[np.float64], curves: Sequence[Curve]) -> dict[str, Any]:
    """Return curves by name, with unit, values and errors."""
    return {
        "wavenumbers_per_cm": wavenumbers.tolist(),
        "curves": {
            curve.name: {
                "unit": curve.unit,
                "values": curve.values.tolist(),
                "errors": None if curve.error is None else curve.error.tolist(),
            }
            for curve in curves
        },
    }
