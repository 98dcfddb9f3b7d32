"""Single wrong structures, by the residuals of a quick fit.

The sum of a function of the distance for each pair of elements, linear in its coefficients, is
fitted to all forces. Each structure counts the same, so that a few wrong ones do not matter. A
structure whose forces have the wrong sign or size, or whose energy is off, then stands apart.
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
from reann.data.read import read_file
from reann.data.remarks import print_cut
from reann.data.stated import angstrom
from reann.errors import UserError
from reann.input_files import display_name, find_files

Array = NDArray[np.float64]

FEWEST = 10
"""Structures from which a fit says something."""
USEFUL = 0.6
"""Median correlation of fitted and given forces, below which it says nothing."""
DEVIATIONS = 6.0
"""Robust standard deviations of the logarithm of a residual."""
WORSE = 2.5
"""Residual of the forces over the typical one, at least."""
OPPOSITE = -0.6
"""Correlation below which forces have the opposite sign."""
ENERGY_APART = 0.03
"""eV per atom, at least."""


@dataclass
class _Residuals:
    """What the fit leaves, a value per structure."""

    origins: list[str] = field(default_factory=list)
    relative: list[float] = field(default_factory=list)
    """Residual of the forces over the fitted forces."""
    slope: list[float] = field(default_factory=list)
    """What the fitted forces must be multiplied by."""
    correlation: list[float] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    """eV; NaN without an energy."""
    pairs: list[float] = field(default_factory=list)
    """Energy of the fitted pairs, eV."""
    composition: list[Array] = field(default_factory=list)
    stresses: list[tuple[str, Array, Array]] = field(default_factory=list)
    """Origin, given and fitted stress (6,), eV/Å^3, of those that have one."""


def fit_findings(
    patterns: Sequence[str], readings: Readings, cutoff: float, elements: Sequence[int]
) -> list[Finding]:
    """Return the structures that a quick fit finds apart from all others.

    Parameters
    ----------
    patterns
        Files or globs; each is read twice.
    readings
        Keys and units of each file.
    cutoff
        Of the functions of the distance, Å.
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
        left = _Residuals()
        for atoms, origin, labels in _labeled(patterns, readings):
            _measure(left, model, coefficients, atoms, origin, labels)
    except UserError:  # already among the findings
        return []
    typical = float(np.median(left.correlation))
    if typical < USEFUL:
        return [_useless(f"pair forces explain the data badly (correlation {typical:.2f})")]
    found = [_force_finding(left), _energy_finding(left), single_stresses(left.stresses)]
    agree = Finding(
        "fit",
        "note",
        f"forces of a quick fit of pairs have a median correlation of {typical:.2f} with those of "
        f"the data ({len(left.origins)} structures)",
        "Nothing to do.",
    )
    return [*(f for f in found if f is not None), agree]


def _labeled(
    patterns: Sequence[str], readings: Readings
) -> Iterator[tuple[Atoms, str, dict[str, Any]]]:
    """Yield the structures that have finite forces, in Å, with origin and labels."""
    for path in (path for pattern in patterns for path in find_files(pattern)):
        reading = readings.of(path)
        for atoms, origin in read_file(path, display_name(path), print_cut):
            try:
                labels = reading.extract(atoms, origin)
            except UserError:
                continue
            forces = labels.get("forces")
            if forces is None or len(atoms) < 2 or not np.isfinite(forces).all():
                continue
            for converted, _ in angstrom(iter([(atoms, origin)]), reading.data.units):
                yield converted, origin, labels


def _measure(  # noqa: PLR0917 - one structure against the fit
    left: _Residuals,
    model: PairModel,
    coefficients: Array,
    atoms: Atoms,
    origin: str,
    labels: dict[str, Any],
) -> None:
    design = model.design(atoms)
    forces, fitted = np.asarray(labels["forces"], float).ravel(), design.forces @ coefficients
    size, given = float(np.linalg.norm(fitted)), float(np.linalg.norm(forces))
    if size == 0.0 or given == 0.0:
        return
    left.origins.append(origin)
    left.relative.append(float(np.linalg.norm(forces - fitted)) / size)
    left.slope.append(float(forces @ fitted) / size**2)
    left.correlation.append(float(forces @ fitted) / (size * given))
    left.energy.append(float(labels.get("energy", np.nan)))
    left.pairs.append(float(design.energies @ coefficients))
    left.composition.append(model.composition(atoms))
    stress = labels.get("stress")
    if stress is not None and atoms.pbc.all() and np.isfinite(stress).all():
        given_stress = np.asarray(stress, float)[VOIGT_ROWS, VOIGT_COLUMNS]
        fitted_stress = design.strain @ coefficients / atoms.get_volume()
        left.stresses.append((origin, given_stress, fitted_stress))


def _force_finding(left: _Residuals) -> Finding | None:
    relative = np.array(left.relative)
    logs = np.log(relative)
    width = 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
    limit = np.median(relative) * max(np.exp(DEVIATIONS * width), WORSE)
    bad = apart(relative, np.full(len(relative), limit))
    opposite = np.flatnonzero(np.array(left.correlation) < OPPOSITE).tolist()
    if len(opposite) <= max(FEW * len(relative), A_FEW):
        bad += [i for i in opposite if i not in bad]
    if not bad:
        return None
    examples = tuple(f"{left.origins[i]} ({_words(left, i)})" for i in bad[:MOST_EXAMPLES])
    return Finding(
        "fit-forces",
        "warning",
        "forces that a quick fit of all structures misses by far: usual is "
        f"{100 * np.median(relative):.0f} % of the fitted forces, and at most {100 * limit:.0f} %",
        "Look at them: the sign or the unit of single structures, or another calculation.",
        len(bad),
        examples,
    )


def _words(left: _Residuals, i: int) -> str:
    if left.correlation[i] < OPPOSITE:
        return f"opposite sign, correlation {left.correlation[i]:.2f}"
    if left.correlation[i] > USEFUL:
        return f"{left.slope[i]:.3g} times the fitted forces"
    return f"correlation {left.correlation[i]:.2f}"


def _energy_finding(left: _Residuals) -> Finding | None:
    energy, composition = np.array(left.energy), np.array(left.composition)
    known = np.flatnonzero(np.isfinite(energy))
    if len(known) < FEWEST:
        return None
    sizes = composition[known].sum(axis=1)
    per_atom = energy[known] / sizes
    explained = np.column_stack([composition[known], np.array(left.pairs)[known]]) / sizes[:, None]
    away = per_atom - explained @ robust_fit(explained, per_atom)
    width = 1.4826 * float(np.median(np.abs(away)))
    limit = max(2 * DEVIATIONS * width, ENERGY_APART)
    bad = apart(np.abs(away), np.full(len(away), limit))
    if not bad:
        return None
    examples = tuple(
        f"{left.origins[known[i]]} ({away[i]:+.2g} eV/atom)" for i in bad[:MOST_EXAMPLES]
    )
    return Finding(
        "fit-energies",
        "warning",
        f"energies more than {limit:.2g} eV/atom away from a quick fit of all structures, where "
        f"{width:.2g} eV/atom is typical",
        "Look at them: another setting of the calculation, or another unit.",
        len(bad),
        examples,
    )


def _useless(why: str) -> Finding:
    return Finding("fit", "note", f"the quick fit says nothing: {why}", "")
