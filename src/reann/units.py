"""Units by name, and the sign conventions of the whole package.

Inside the package everything is in eV and Å. Conventions, stated once:

* forces are -dE/dr, eV/Å;
* stress is +dE/d(strain) / volume, eV/Å^3, positive under tension's opposite as in ASE
  (a compressed crystal has a negative diagonal, as ``Atoms.get_stress`` gives it);
* virial is -volume * stress = -dE/d(strain), eV, as the extended XYZ key ``virial`` has it.
"""

from __future__ import annotations

from ase import units as ase_units

from reann.errors import UserError, did_you_mean

ENERGY = {
    "eV": 1.0,
    "meV": 1e-3,
    "Hartree": ase_units.Hartree,
    "Ha": ase_units.Hartree,
    "Rydberg": ase_units.Rydberg,
    "Ry": ase_units.Rydberg,
    "kcal/mol": ase_units.kcal / ase_units.mol,
    "kJ/mol": ase_units.kJ / ase_units.mol,
}
"""Energy units in eV."""

LENGTH = {"Ang": 1.0, "Å": 1.0, "A": 1.0, "Bohr": ase_units.Bohr, "nm": 10.0}
"""Length units in Å."""

PRESSURE = {
    "eV/Ang^3": 1.0,
    "GPa": ase_units.GPa,
    "kbar": 0.1 * ase_units.GPa,
    "bar": 1e-4 * ase_units.GPa,
}
"""Stress units in eV/Å^3 (besides any energy per length cubed)."""


def energy(name: str) -> float:
    """Return the size of an energy unit in eV; `UserError` for an unknown name."""
    return _look_up(name, ENERGY, "energy")


def length(name: str) -> float:
    """Return the size of a length unit in Å; `UserError` for an unknown name."""
    return _look_up(name, LENGTH, "length")


def force(name: str) -> float:
    """Return the size of a force unit such as ``Ha/Bohr`` in eV/Å."""
    numerator, slash, denominator = name.rpartition("/")
    if not slash:
        raise UserError(f"'{name}' is not a force unit.", fix="Write energy/length, as eV/Ang.")
    return energy(numerator) / length(denominator)


def stress(name: str) -> float:
    """Return the size of a stress unit such as ``GPa`` or ``Ha/Bohr^3`` in eV/Å^3."""
    if name in PRESSURE:
        return PRESSURE[name]
    numerator, slash, denominator = name.rpartition("/")
    if not slash or not denominator.endswith("^3"):
        hint = did_you_mean(name, PRESSURE)
        raise UserError(
            f"'{name}' is not a stress unit.{hint}",
            fix=f"Use one of {', '.join(PRESSURE)} or energy/length^3.",
        )
    return energy(numerator) / length(denominator.removesuffix("^3")) ** 3


def _look_up(name: str, table: dict[str, float], kind: str) -> float:
    if name not in table:
        hint = did_you_mean(name, table)
        raise UserError(
            f"'{name}' is not a known {kind} unit.{hint}", fix=f"Use one of {', '.join(table)}."
        )
    return table[name]
