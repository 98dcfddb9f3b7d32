"""Extrapolation: the fraction of atoms outside the training range, over temperature."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.dynamics import ExplosionError, thermalized
from reann.assessment.figures import curves
from reann.assessment.outcome import Outcome, exploded, graded
from reann.error_measures import percentage
from reann.model.reann import MARGIN

TIMES = (1.0, 1.5, 2.0, 3.0)
"""Temperatures in units of that of the settings."""
LENGTH, BETWEEN = 1000.0, 50
"""Length of the MD at each temperature, fs; steps between tests for extrapolation."""
FEW, MANY = 0.01, 0.1
"""Fraction of the atoms."""


def run(case: Case) -> Outcome:
    """Run short dynamics at rising temperatures, and count the atoms that extrapolate."""
    at_start = fraction(case, case.atoms)
    temperatures, fractions, worst_element = [], [], {}
    for number, factor in enumerate(TIMES):
        temperature = factor * case.settings.temperature
        try:
            result, elements = along(case, temperature, number)
        except ExplosionError as error:
            if number == 0:
                return exploded(error, f"Dynamics at {temperature:g} K")
            break
        temperatures.append(temperature)
        fractions.append(result)
        if number == 0:
            worst_element = elements
        if case.is_late():
            break
    shown = ", ".join(
        f"{percentage(100 * f)} % at {t:g} K" for t, f in zip(temperatures, fractions, strict=True)
    )
    lost = (
        ""
        if len(fractions) == len(TIMES)
        else " The dynamics at higher temperatures was not completed."
    )
    by_element = (
        ", ".join(f"{s} {100 * x:.1f} %" for s, x in worst_element.items() if x > 0) or "none"
    )
    return Outcome(
        graded(max(fractions[0], at_start), FEW, MANY),
        f"Extrapolating atoms: {percentage(100 * at_start)} % in the structure; mean in dynamics"
        f" {shown}."
        f"{lost} By element at {temperatures[0]:g} K: {by_element}.",
        f"At most {100 * FEW:g} % of the atoms may extrapolate, in the structure and at"
        f" {temperatures[0]:g} K. Beyond {100 * MANY:g} % the potential is used outside its"
        " training data, and its errors on a test set do not apply. An atom extrapolates if a"
        " feature of its density is outside the training range by more than"
        f" {100 * MARGIN:g} % of the width of the range.",
        (
            curves(
                {"extrapolating": (np.array(temperatures), 100 * np.array(fractions))},
                xlabel="temperature, K",
                ylabel="atoms that extrapolate, %",
                y=(0.0, max(5.0, 110 * max(fractions))),
                caption="Extrapolation in dynamics of 1 ps at each temperature",
            ),
        )
        if len(fractions) > 1 and max(fractions) > 0.0
        else (),
        {
            "in_structure": at_start,
            "temperatures_K": temperatures,
            "fractions": fractions,
            "by_element": worst_element,
        },
    )


def extrapolating(case: Case, atoms: ase.Atoms) -> np.ndarray:
    """Return which atoms extrapolate."""
    copy = atoms.copy()
    copy.set_constraint()
    distances: Any = case.calculator.get_property("extrapolation", copy)
    return np.asarray(distances) > MARGIN


def fraction(case: Case, atoms: ase.Atoms) -> float:
    """Return the fraction of the atoms of a structure that extrapolate."""
    return float(extrapolating(case, atoms).mean())


def along(case: Case, temperature: float, number: int) -> tuple[float, dict[str, float]]:
    """Return the mean fraction over Langevin dynamics, in total and per element."""
    start = case.start(case.calculator)
    rng = case.rng(f"extrapolation {number}")
    n_steps = round(LENGTH / case.timestep)
    result = []
    moving: list[ase.Atoms] = []

    def on_step(step: int) -> bool:
        if step % BETWEEN == 0 and step:
            result.append(extrapolating(case, moving[0]))
            case.advance((number + step / n_steps) / len(TIMES))
        return case.is_late() and len(result) > 1

    thermalized(
        start, temperature, LENGTH, case.timestep, rng, on_step=on_step, moves=moving.append
    )
    of_atoms = np.mean(result, axis=0)
    symbols = np.array(start.get_chemical_symbols())
    elements = {str(s): float(of_atoms[symbols == s].mean()) for s in np.unique(symbols)}
    return float(of_atoms.mean()), elements


def knows_range(case: Case) -> bool:
    """Return whether the potential has recorded its training range."""
    potential = case.potential
    return potential is not None and all(m.model.has_range for m in potential.members)


CHECK = Check(
    "extrapolation",
    "Extrapolation",
    "Errors are known only where there were data; outside, the potential extrapolates.",
    run,
    needs=knows_range,
)
