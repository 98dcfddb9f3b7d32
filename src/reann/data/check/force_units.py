"""Checks of the unit of forces by typical magnitudes, with the likely cause.

Typical forces and the stiffness of bonds of hydrogen show that a unit is wrong. Which one it is
follows from the unit that the user declared, and from the energies: in thermal motion with n atoms,
their standard deviation is about kT sqrt(3n/2), where kT is the stiffness of a bond times the
variance of its length. In 24 data sets of molecules and water the ratio is 0.7 to 7.6.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import chemical_symbols

from reann import units
from reann.config import Units
from reann.data.check.bonds import HYDROGEN_BONDS, Bonds, stiffness
from reann.data.check.finding import Finding
from reann.data.check.record import Record

SMALL_FORCES, LARGE_FORCES = 0.06, 10.0
"""eV/Å; typical forces outside this range suggest another unit."""
FEWEST = 5
"""Minimum number of structures for a typical force, or for a standard deviation of energies."""
CLEAR = 0.7
"""Rank correlation along bonds above which the stiffness is meaningful."""
UNUSUAL, IMPOSSIBLE = (8.0, 150.0), (5.0, 200.0)
"""eV/Å^2; a stiffness outside the first range is a warning, outside the second an error.

It is 28 to 47 in all data sets of molecules and water that were examined."""
USUAL, TYPICAL = (20.0, 60.0), 35.0
"""eV/Å^2, range and typical value of the stiffness in the right unit."""
THERMAL = (0.5, 10.0)
"""Range of the standard deviation of the energies over that of thermal motion."""
ENERGY_OF = {
    "Ha/Bohr": "Ha",
    "Ry/Bohr": "Ry",
    "kcal/mol/Ang": "kcal/mol",
    "kJ/mol/Ang": "kJ/mol",
    "kJ/mol/nm": "kJ/mol",
    "meV/Ang": "meV",
}
"""Units of forces, and the unit of the energies that usually goes with each."""

EnergiesIn = Literal["eV", "same", ""]
"""Energies agree with eV, have the wrong unit of the forces as well, or could not be tested."""


@dataclass(frozen=True)
class DeclaredUnit:
    """A unit set by the user that changes the forces."""

    field: str
    """`energy` or `forces`."""
    name: str
    instead: str
    """Unit that would be assumed without it."""
    factor: float
    """Forces with it over forces without it."""


def declared_unit(settings: Iterable[Units]) -> DeclaredUnit | None:
    """Return the declared unit that determines the forces; None if there is none or several."""
    declared = {_declared(each) for each in settings}
    return next(iter(declared)) if len(declared) == 1 else None


def _declared(settings: Units) -> DeclaredUnit | None:
    energy, length = settings.energy, settings.length
    if settings.forces is not None:
        derived = units.energy(energy) / units.length(length)
        factor = units.force(settings.forces) / derived
        unit = DeclaredUnit("forces", settings.forces, f"{energy}/{length}", factor)
    else:
        unit = DeclaredUnit("energy", energy, "eV", units.energy(energy))
    return None if math.isclose(unit.factor, 1.0, rel_tol=0.01) else unit


@dataclass(frozen=True)
class Evidence:
    """What is known about the data of a head."""

    records: Sequence[Record]
    bonds: Bonds
    declared: DeclaredUnit | None = None
    by_work: Finding | None = None
    """Comparison of the energies with the work of the forces, if it was possible."""


@dataclass(frozen=True)
class Cause:
    """Why forces have a wrong magnitude, as a clause and an advice."""

    factor: float
    """The forces as read over the forces in the right unit."""
    clause: str
    """What the right unit is, before `it would be 30 eV/Å²`."""
    fix: str
    option: str


def force_unit(known: Evidence) -> Finding | None:
    """Report typical forces that are implausible in eV/Å."""
    sizes = np.array([r.force_rms for r in known.records if r.force_rms is not None])
    sizes = sizes[sizes > 1e-6]
    if len(sizes) < FEWEST:
        return None
    low, typical, high = np.percentile(sizes, [20, 50, 80])
    if high >= SMALL_FORCES and low <= LARGE_FORCES:
        return None
    small = high < SMALL_FORCES
    word, exception = ("small", "nearly relaxed") if small else ("large", "random")
    message = f"forces are {typical:.3g} eV/Å (median of root mean squares), {word}: "
    cause = _cause(known)
    if cause is not None and SMALL_FORCES < typical / cause.factor < LARGE_FORCES:
        message += f"{cause.clause} they would be {typical / cause.factor:.3g} eV/Å, a usual value"
        return Finding("force-unit", "warning", message, cause.fix, len(sizes), option=cause.option)
    if known.declared is not None:
        message += f"the declared {known.declared.name} may be wrong, or the geometries {exception}"
        fix = f"Unless they are {exception}, correct `data.units.{known.declared.field}`."
        option = f"--unit {known.declared.field}=UNIT"
        return Finding("force-unit", "warning", message, fix, len(sizes), option=option)
    unit, size = ("Ha/Bohr", "51.4") if small else ("kcal/mol/Ang", "0.043")
    message += f"the unit may be {_shown(unit)} ({size} eV/Å), or the geometries {exception}"
    advice, option = _advice(unit, _energies(known, unit))
    fix = f"Unless they are {exception}: {advice}"
    return Finding("force-unit", "warning", message, fix, len(sizes), option=option)


def stiffness_of_bonds(known: Evidence) -> Finding | None:
    """Report bonds of hydrogen whose stiffness is unusual; an error if it is impossible."""
    for elements, size in _clear_bonds(known.bonds).items():
        if UNUSUAL[0] < size < UNUSUAL[1]:
            continue
        name = "-".join(chemical_symbols[z] for z in elements)
        count = len(known.bonds.by_elements()[elements])
        message = (
            f"the forces give {name} bonds a stiffness of {size:.3g} eV/Å² ({count} bonds) instead"
            " of the usual 25 to 45 eV/Å²: "
        )
        cause = _cause(known)
        if cause is None:
            message += "the unit of the forces is probably wrong"
            fix, option = "Set `data: {units: {forces: ...}}`.", "--unit forces=UNIT"
        else:
            message += f"{cause.clause} it would be {size / cause.factor:.3g} eV/Å², a usual value"
            fix, option = cause.fix, cause.option
        impossible = not IMPOSSIBLE[0] < size < IMPOSSIBLE[1]
        severity = "error" if impossible else "warning"
        return Finding("forces-along-bonds", severity, message, fix, option=option)
    return None


def _clear_bonds(bonds: Bonds) -> dict[tuple[int, int], float]:
    """Return the stiffness of the bonds of hydrogen for which it is meaningful, eV/Å^2."""
    ranks = bonds.alignment()[0]
    return {
        elements: stiffness(rows)
        for elements, rows in bonds.by_elements().items()
        if elements in HYDROGEN_BONDS and ranks[elements] > CLEAR
    }


def _cause(known: Evidence) -> Cause | None:
    """Return the unit that gives bonds, else forces, a usual magnitude; None if there is none."""
    sizes = list(_clear_bonds(known.bonds).values())
    size = float(np.median(sizes)) if sizes else None
    if (declared := known.declared) is not None:
        if size is not None and not USUAL[0] < size / declared.factor < USUAL[1]:
            return None
        return Cause(
            declared.factor,
            f"with {_shown(declared.instead)} instead of the declared {_shown(declared.name)}",
            f"Remove `data.units.{declared.field}`.",
            f"remove --unit {declared.field}={declared.name}",
        )
    if size is None or size <= 0.0:
        return None
    right = {unit: size * units.force(unit) for unit in ENERGY_OF}
    unit = min(right, key=lambda name: abs(math.log(right[name] / TYPICAL)))
    if not USUAL[0] < right[unit] < USUAL[1]:
        return None
    fix, option = _advice(unit, _energies(known, unit))
    return Cause(1.0 / units.force(unit), f"if their unit is {_shown(unit)},", fix, option)


def _advice(unit: str, energies: EnergiesIn) -> tuple[str, str]:
    """Return the advice to set a unit of the forces, and the options of the command line."""
    energy = ENERGY_OF[unit]
    if energies == "same":
        fix = f"`data: {{units: {{energy: {energy}, forces: {unit}}}}}`."
        return fix, f"--unit energy={energy} --unit forces={unit}"
    fix = f"`data: {{units: {{forces: {unit}}}}}`"
    if energies == "eV":
        fix += "; the energies agree with eV."
    else:
        fix += f", and energy: {energy} if the energies are in {energy}, which cannot be tested."
    return fix, f"--unit forces={unit}"


def _energies(known: Evidence, unit: str) -> EnergiesIn:
    """Return whether the energies agree with eV if the forces have this unit."""
    if known.by_work is not None:
        return "same" if known.by_work.name == "forces-agree" else "eV"
    ratio = _energies_over_thermal(known)
    if ratio is None:
        return ""
    in_ev = ratio / units.force(unit)
    same = in_ev * units.energy(ENERGY_OF[unit])
    fits = [THERMAL[0] < value < THERMAL[1] for value in (in_ev, same)]
    if all(fits) or not any(fits):
        return ""
    return "eV" if fits[0] else "same"


def _energies_over_thermal(known: Evidence) -> float | None:
    """Return the standard deviation of the energies over that of thermal motion, as read."""
    thermal = []
    for elements, size in _clear_bonds(known.bonds).items():
        lengths = known.bonds.by_elements()[elements][:, 0]
        thermal.append(size * float(np.clip(lengths, *np.percentile(lengths, [2, 98])).var()))
    groups: dict[tuple[int, int], list[float]] = defaultdict(list)
    for r in known.records:
        if r.energy is not None and r.force_rms is not None:
            groups[r.order, r.n_atoms].append(r.energy)
    spreads = [
        float(np.std(energies)) / math.sqrt(1.5 * n_atoms)
        for (_, n_atoms), energies in groups.items()
        if len(energies) >= FEWEST
    ]
    if not thermal or not spreads or np.median(thermal) <= 0.0:
        return None
    return float(np.median(spreads) / np.median(thermal)) or None


def _shown(unit: str) -> str:
    """Return the name of a unit with Å for Ang."""
    return unit.replace("Ang", "Å")
