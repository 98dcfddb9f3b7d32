"""All checks in order: of single records, of pairs, and comparisons between structures."""

from __future__ import annotations

from collections.abc import Sequence

from reann.data.check import (
    components,
    digits,
    dipoles,
    duplicates,
    energies,
    energy_groups,
    forces,
    geometry,
    mixed,
    molecules,
    stresses,
)
from reann.data.check.bonds import Bonds
from reann.data.check.finding import Finding, Rule
from reann.data.check.force_order import order_of_forces
from reann.data.check.force_units import DeclaredUnit, Evidence, force_unit, stiffness_of_bonds
from reann.data.check.record import Record
from reann.data.check.stress_fit import StressFit
from reann.data.check.work import Work

RULES: tuple[Rule, ...] = (
    geometry.not_finite,
    geometry.not_finite_beside,
    geometry.cell_missing,
    geometry.coincident_atoms,
    geometry.length_unit,
    geometry.cell_unit,
    geometry.too_close,
    geometry.isolated_atoms,
    molecules.lattice_not_used,
    digits.coarse_positions,
    mixed.labels_mixed,
    energies.energy_constant,
    energies.zero_energies,
    energies.energies_per_atom,
    energies.energy_outliers,
    energy_groups.energy_groups,
    energies.free_energy,
    digits.energy_digits,
    digits.force_digits,
    forces.all_forces_zero,
    forces.force_outliers,
    forces.zero_forces,
    forces.zero_component,
    duplicates.repeated_forces,
    duplicates.repeated_energies,
    forces.net_force,
    molecules.net_torque,
    stresses.all_stresses_zero,
    stresses.stress_size,
    stresses.stress_outliers,
    stresses.stress_and_volume,
    stresses.stress_without_volume,
    dipoles.periodic_dipoles,
    dipoles.dipoles_in_fields,
    dipoles.sums_of_born_charges,
)
"""Checks that need only the records; to add a check, add its function here."""
PAIR_RULES = (duplicates.repeated, duplicates.leaked, duplicates.contradictions)
"""Checks of pairs of structures with equal geometry."""
DOUBTFUL = 0.5
"""Rank correlation along bonds below which the order of the forces is examined."""
OVERRULED = {
    "forces-agree": {"force-unit", "forces-along-bonds"},
    "stresses-agree": {"stress-size", "stress-and-volume", "stress-beside-forces"},
}
"""Findings based on magnitudes that a comparison with the energies overrules."""


def judge(
    records: Sequence[Record],
    cutoff: float,
    work: Work,
    bonds: Bonds,
    stress_fit: StressFit,
    *,
    declared: DeclaredUnit | None = None,
) -> list[Finding]:
    """Return the findings of all checks for the records of all structures."""
    pairs = duplicates.twins(records)
    findings = [rule(records) for rule in (*RULES, geometry.atoms_without_neighbors(cutoff))]
    findings += [rule(pairs) for rule in PAIR_RULES]
    by_work = work.forces()
    known = Evidence(records, bonds, declared, by_work)
    stiff = stiffness_of_bonds(known)
    findings += [
        force_unit(known),
        forces.along_bonds(bonds) or stiff,
        forces.signs_along_bonds(bonds),
        by_work,
        work.stress(),
    ]
    agree = by_work is not None and by_work.name == "forces-agree"
    if not agree and abs(bonds.alignment()[1]) < DOUBTFUL:
        findings.append(order_of_forces(work.with_forces()))
    findings += _shear(records, work, stress_fit)
    reported = [f for f in findings if f is not None]
    names = {f.name for f in reported}
    refuted = {name for agree, others in OVERRULED.items() if agree in names for name in others}
    # An impossible stiffness remains wrong: energies and forces agree, but in another unit.
    if stiff is not None and stiff.severity == "error":
        refuted -= OVERRULED["forces-agree"]
    return [f for f in reported if f.name not in refuted] + _not_checkable(work, names)


def _shear(records: Sequence[Record], work: Work, stress_fit: StressFit) -> list[Finding]:
    """Check the shear stresses against energies, else forces; add a note if neither decides."""
    name = "stress-components"
    if not any(r.stress_max for r in records):
        return []
    by_forces = stress_fit.findings()
    shear = [f for f in (work.shear(), *by_forces) if f is not None and f.name == name]
    # Energies determine the order for strained cells only, so warnings from forces come first.
    shear.sort(key=lambda f: f.severity == "note")
    return [f for f in by_forces if f.name != name] + (shear or [components.not_checkable()])[:1]


def _not_checkable(work: Work, names: set[str]) -> list[Finding]:
    """Return notes about comparisons with energies for which no suitable pairs exist."""
    notes: list[Finding] = []
    if work.has("forces") and not names & {"forces-agree", "forces-disagree", "all-forces-zero"}:
        notes.append(
            Finding(
                "forces-not-checkable",
                "note",
                "forces could not be checked against energies: no two structures are close enough, "
                "or their energies are equal",
                "Nothing to correct. To test signs and units, label a structure and a copy of"
                " it with one atom displaced by 0.01 Å.",
            )
        )
    judged = {"stresses-agree", "stresses-disagree", "all-stresses-zero", "stress-and-volume"}
    if work.has("stress") and not names & judged:
        notes.append(
            Finding(
                "stresses-not-checkable",
                "note",
                "stresses could not be checked against energies: no two structures that differ by "
                "a strain are close enough",
                "Nothing to correct. To test signs and units, label a structure and a copy of"
                " it with a cell that is 0.5 % larger.",
            )
        )
    return notes
