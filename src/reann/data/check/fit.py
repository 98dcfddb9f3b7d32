"""Detection of single wrong structures by the residuals of a quick fit.

A pair potential, linear in its coefficients, is fitted to all forces. All structures have the same
weight, so that a few wrong ones do not matter. A structure whose forces have the wrong sign or
magnitude, or whose energy is wrong, then has an unusually large residual.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from reann.data.check.energies import robust_fit
from reann.data.check.finding import MOST_EXAMPLES, Finding
from reann.data.check.outliers import A_FEW, FEW, apart
from reann.data.check.pair_model import VOIGT_COLUMNS, VOIGT_ROWS, PairModel
from reann.data.check.sources import Readings
from reann.data.check.stress_fit import single_stresses
from reann.data.files.read import read_file
from reann.data.files.skipped import print_truncated
from reann.data.labels.file_units import angstrom
from reann.errors import UserError
from reann.input_files import display_name, find_files

Array = NDArray[np.float64]

FEWEST = 10
"""Minimum number of structures for a meaningful fit."""
USEFUL = 0.6
"""Median correlation of fitted forces and labels, below which the fit is not meaningful."""
DEVIATIONS = 6.0
"""Robust standard deviations of the logarithm of a residual."""
WORSE = 2.5
"""Minimum residual of wrong forces over the typical residual."""
OPPOSITE = -0.6
"""Correlation below which forces have the opposite sign."""
ENERGY_APART = 0.03
"""Minimum residual of a wrong energy, eV per atom."""


@dataclass
class _Residuals:
    """Residuals of the fit, a value per structure."""

    origins: list[str] = field(default_factory=list)
    relative: list[float] = field(default_factory=list)
    """Residual of the forces over the fitted forces."""
    slope: list[float] = field(default_factory=list)
    """Factor that best scales the fitted forces to the labels."""
    correlation: list[float] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    """eV; NaN without an energy."""
    pairs: list[float] = field(default_factory=list)
    """Energy of the fitted pair potential, eV."""
    composition: list[Array] = field(default_factory=list)
    stresses: list[tuple[str, Array, Array]] = field(default_factory=list)
    """Origin, label and fitted stress (6,), eV/Å^3, of structures with a stress."""


def fit_findings(
    patterns: Sequence[str], readings: Readings, cutoff: float, elements: Sequence[int]
) -> list[Finding]:
    """Return findings about structures with unusually large residuals of a quick fit.

    Parameters
    ----------
    patterns
        Files or globs; each is read twice.
    readings
        Keys and units of each file.
    cutoff
        Cutoff radius of the pair potential, Å.
    elements
        All atomic numbers in the files.
    """
    model = PairModel(elements, cutoff)
    try:
        for atoms, _, labels in _labeled(patterns, readings):
            model.add(atoms, labels["forces"])
        if model.n_structures < FEWEST:
            return [_useless(f"{model.n_structures} structures have forces, {FEWEST} are needed")]
        coefficients = model.solve()
        residuals = _Residuals()
        for atoms, origin, labels in _labeled(patterns, readings):
            _measure(residuals, model, coefficients, atoms, origin, labels)
    except UserError:  # already reported by the other checks
        return []
    typical = float(np.median(residuals.correlation))
    if typical < USEFUL:
        return [_useless(f"pair forces describe the data poorly (correlation {typical:.2f})")]
    findings = [
        _force_finding(residuals),
        _energy_finding(residuals),
        single_stresses(residuals.stresses),
    ]
    agree = Finding(
        "fit",
        "note",
        f"the forces of a quick pair fit have a median correlation of {typical:.2f} with those of "
        f"the data ({len(residuals.origins)} structures)",
        "No action is needed.",
    )
    return [*(f for f in findings if f is not None), agree]


def _labeled(
    patterns: Sequence[str], readings: Readings
) -> Iterator[tuple[Atoms, str, dict[str, Any]]]:
    """Yield the structures with finite forces, with lengths in Å, and their origins and labels."""
    for path in (path for pattern in patterns for path in find_files(pattern)):
        reading = readings.of(path)
        for atoms, origin in read_file(path, display_name(path), print_truncated):
            try:
                labels = reading.extract(atoms, origin)
            except UserError:
                continue
            forces = labels.get("forces")
            if forces is None or len(atoms) < 2 or not np.isfinite(forces).all():
                continue
            for converted, _ in angstrom(iter([(atoms, origin)]), reading.data.units):
                yield converted, origin, labels


def _measure(  # noqa: PLR0917 - compares one structure with the fit
    residuals: _Residuals,
    model: PairModel,
    coefficients: Array,
    atoms: Atoms,
    origin: str,
    labels: dict[str, Any],
) -> None:
    design = model.design(atoms)
    forces, fitted = np.asarray(labels["forces"], float).ravel(), design.forces @ coefficients
    size, norm = float(np.linalg.norm(fitted)), float(np.linalg.norm(forces))
    if size == 0.0 or norm == 0.0:
        return
    residuals.origins.append(origin)
    residuals.relative.append(float(np.linalg.norm(forces - fitted)) / size)
    residuals.slope.append(float(forces @ fitted) / size**2)
    residuals.correlation.append(float(forces @ fitted) / (size * norm))
    residuals.energy.append(float(labels.get("energy", np.nan)))
    residuals.pairs.append(float(design.energies @ coefficients))
    residuals.composition.append(model.composition(atoms))
    stress = labels.get("stress")
    if stress is not None and atoms.pbc.all() and np.isfinite(stress).all():
        given_stress = np.asarray(stress, float)[VOIGT_ROWS, VOIGT_COLUMNS]
        fitted_stress = design.strain @ coefficients / atoms.get_volume()
        residuals.stresses.append((origin, given_stress, fitted_stress))


def _force_finding(residuals: _Residuals) -> Finding | None:
    relative = np.array(residuals.relative)
    logs = np.log(relative)
    width = 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
    limit = np.median(relative) * max(np.exp(DEVIATIONS * width), WORSE)
    bad = apart(relative, np.full(len(relative), limit))
    opposite = np.flatnonzero(np.array(residuals.correlation) < OPPOSITE).tolist()
    if len(opposite) <= max(FEW * len(relative), A_FEW):
        bad += [i for i in opposite if i not in bad]
    if not bad:
        return None
    examples = tuple(
        f"{residuals.origins[i]} ({_words(residuals, i)})" for i in bad[:MOST_EXAMPLES]
    )
    return Finding(
        "fit-forces",
        "warning",
        "forces deviate strongly from a quick fit of all structures: by more than "
        f"{100 * limit:.0f} % of the fitted forces; {100 * np.median(relative):.0f} % is typical",
        "Check sign and unit of these structures, and the settings of their calculations.",
        len(bad),
        examples,
    )


def _words(residuals: _Residuals, i: int) -> str:
    if residuals.correlation[i] < OPPOSITE:
        return f"opposite sign, correlation {residuals.correlation[i]:.2f}"
    if residuals.correlation[i] > USEFUL:
        return f"{residuals.slope[i]:.3g} times the fitted forces"
    return f"correlation {residuals.correlation[i]:.2f}"


def _energy_finding(residuals: _Residuals) -> Finding | None:
    energy, composition = np.array(residuals.energy), np.array(residuals.composition)
    known = np.flatnonzero(np.isfinite(energy))
    if len(known) < FEWEST:
        return None
    sizes = composition[known].sum(axis=1)
    per_atom = energy[known] / sizes
    explained = (
        np.column_stack([composition[known], np.array(residuals.pairs)[known]]) / sizes[:, None]
    )
    deviations = per_atom - explained @ robust_fit(explained, per_atom)
    width = 1.4826 * float(np.median(np.abs(deviations)))
    limit = max(2 * DEVIATIONS * width, ENERGY_APART)
    bad = apart(np.abs(deviations), np.full(len(deviations), limit))
    if not bad:
        return None
    examples = tuple(
        f"{residuals.origins[known[i]]} ({deviations[i]:+.2g} eV/atom)" for i in bad[:MOST_EXAMPLES]
    )
    return Finding(
        "fit-energies",
        "warning",
        f"energies deviate by more than {limit:.2g} eV/atom from a quick fit of all structures; "
        f"{width:.2g} eV/atom is typical",
        "Check the settings of these calculations, and the unit.",
        len(bad),
        examples,
    )


def _useless(why: str) -> Finding:
    return Finding("fit", "note", f"the quick fit is not meaningful: {why}", "")
