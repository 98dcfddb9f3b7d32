"""Units by name, and the sign conventions of the package.

Inside the package, all quantities are in eV and Å. Conventions:

* forces are -dE/dr, eV/Å;
* stress is +dE/d(strain) / volume, eV/Å^3, as ``Atoms.get_stress`` gives it: its diagonal is
  negative in a compressed crystal and positive in a stretched one;
* virial is -volume * stress = -dE/d(strain), eV, as the extended XYZ key ``virial`` has it.

Names are case-insensitive, have common aliases, and may be products of powers: ``kcal/mol/Ang``,
``kcal mol^-1 Å^-1`` and ``kcal/(mol Angstrom)`` are the same unit.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

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
    "cm^-1": ase_units.invcm,
}
"""Energy units in eV."""

LENGTH = {"Ang": 1.0, "Å": 1.0, "A": 1.0, "Bohr": ase_units.Bohr, "nm": 10.0}
"""Length units in Å."""

COULOMB = ase_units.Hartree * ase_units.Bohr
"""e^2 / (4 pi epsilon_0) in eV Å: a polarizability of 1 e Å^2/V in Å^3."""

PRESSURE = {
    "eV/Ang^3": 1.0,
    "GPa": ase_units.GPa,
    "kbar": 0.1 * ase_units.GPa,
    "bar": 1e-4 * ase_units.GPa,
}
"""Stress units in eV/Å^3 (besides any energy per length cubed)."""

DIPOLE = {"e*Ang": 1.0, "Debye": ase_units.Debye, "e*Bohr": ase_units.Bohr}
"""Units of dipole moments in e Å."""
POLARIZABILITY = {"Ang^3": 1.0, "Bohr^3": ase_units.Bohr**3, "e*Ang^2/V": COULOMB}
"""Units of polarizabilities in Å^3."""

Dimension = tuple[int, int, int, int]
"""Powers of energy, length, amount of substance and charge."""

_DIMENSIONS: dict[str, Dimension] = {
    "energy": (1, 0, 0, 0),
    "length": (0, 1, 0, 0),
    "force": (1, -1, 0, 0),
    "stress": (1, -3, 0, 0),
    "dipole": (0, 1, 0, 1),
    "polarizability": (0, 3, 0, 0),
}
_BASE: dict[str, tuple[float, Dimension]] = {
    **{name.lower(): (x, (1, 0, 0, 0)) for name, x in ENERGY.items() if "/" not in name},
    **{name.lower(): (x, (0, 1, 0, 0)) for name, x in LENGTH.items()},
    **{name.lower(): (x, (1, -3, 0, 0)) for name, x in PRESSURE.items() if "/" not in name},
    "kcal": (ase_units.kcal, (1, 0, 1, 0)),
    "kj": (ase_units.kJ, (1, 0, 1, 0)),
    "mol": (ase_units.mol, (0, 0, 1, 0)),
    "cm": (1 / ase_units.invcm, (-1, 0, 0, 0)),  # a wavenumber is an energy
    "mhartree": (1e-3 * ase_units.Hartree, (1, 0, 0, 0)),
    "mry": (1e-3 * ase_units.Rydberg, (1, 0, 0, 0)),
    "kpa": (1e-6 * ase_units.GPa, (1, -3, 0, 0)),
    "pm": (0.01, (0, 1, 0, 0)),
    "nn": (1e-9 * ase_units.J / ase_units.m, (1, -1, 0, 0)),
    "mpa": (1e-3 * ase_units.GPa, (1, -3, 0, 0)),
    "pa": (1e-9 * ase_units.GPa, (1, -3, 0, 0)),
    "atm": (101325e-9 * ase_units.GPa, (1, -3, 0, 0)),
    "e": (1.0, (0, 0, 0, 1)),
    "v": (1.0, (1, 0, 0, -1)),
    "debye": (ase_units.Debye, (0, 1, 0, 1)),
    "eang": (1.0, (0, 1, 0, 1)),
    "ebohr": (ase_units.Bohr, (0, 1, 0, 1)),
}
_ALIASES = {
    "electronvolt": "ev",
    "electronvolts": "ev",
    "hartrees": "hartree",
    "eh": "hartree",
    "mha": "mhartree",
    "meh": "mhartree",
    "millihartree": "mhartree",
    "ryd": "rydberg",
    "rydbergs": "rydberg",
    "angstrom": "ang",
    "angstroms": "ang",
    "angström": "ang",
    "ångström": "ang",
    "ångstrom": "ang",
    "a0": "bohr",
    "bohrs": "bohr",
    "bohrradius": "bohr",
    "nanometer": "nm",
    "nanometers": "nm",
    "kb": "kbar",
    "kbars": "kbar",
    "bars": "bar",
    "mole": "mol",
    "d": "debye",
    "debyes": "debye",
    "eå": "eang",
    "ea": "eang",
    "eangstrom": "eang",
    "ea0": "ebohr",
    "volt": "v",
}
_ATOMIC_UNITS = {"au", "a.u.", "a.u", "atomic", "atomicunits"}
_TOKEN = re.compile(r"([^\W\d_]+0?\.?(?:[^\W\d_]\.?)*)(?:\^?([+-]?\d))?|([/()])|([·*\s]+)")


@lru_cache(maxsize=256)
def energy(name: str) -> float:
    """Return the size of an energy unit in eV; raises `UserError` for an unknown name."""
    return _size(name, "energy", f"Use one of {', '.join(ENERGY)}.", ENERGY)


@lru_cache(maxsize=256)
def length(name: str) -> float:
    """Return the size of a length unit in Å; raises `UserError` for an unknown name."""
    return _size(name, "length", f"Use one of {', '.join(LENGTH)}.", LENGTH)


@lru_cache(maxsize=256)
def force(name: str) -> float:
    """Return the size of a force unit such as ``Ha/Bohr`` in eV/Å."""
    return _size(name, "force", "Write energy/length, for example eV/Ang.", {})


@lru_cache(maxsize=256)
def stress(name: str) -> float:
    """Return the size of a stress unit such as ``GPa`` or ``Ha/Bohr^3`` in eV/Å^3."""
    fix = f"Use one of {', '.join(PRESSURE)} or energy/length^3."
    return _size(name, "stress", fix, PRESSURE)


@lru_cache(maxsize=256)
def dipole(name: str) -> float:
    """Return the size of a unit of dipole moments such as ``Debye`` in e Å."""
    return _size(name, "dipole", f"Use one of {', '.join(DIPOLE)}.", DIPOLE)


@lru_cache(maxsize=256)
def polarizability(name: str) -> float:
    """Return the size of a unit of polarizabilities in Å^3.

    It is a volume, or a dipole moment over a field such as ``e*Ang^2/V``, over 4 pi epsilon_0.
    """
    size, dimension = _parse(name)
    if dimension == (-1, 2, 0, 2):
        return COULOMB * size
    fix = f"Use one of {', '.join(POLARIZABILITY)}."
    return _size(name, "polarizability", fix, POLARIZABILITY)


def _size(name: str, quantity: str, fix: str, table: dict[str, float]) -> float:
    if name in table:
        return table[name]
    expected = _DIMENSIONS[quantity]
    if "".join(name.lower().split()) in _ATOMIC_UNITS:
        return ase_units.Hartree ** expected[0] * ase_units.Bohr ** expected[1]
    size, dimension = _parse(name)
    if dimension != expected:
        hint = did_you_mean(name, table)
        raise UserError(f"'{name}' is not a known {quantity} unit.{hint}", fix=fix)
    return size


def _parse(name: str) -> tuple[float, Dimension | None]:
    """Return the size and the dimension of a product of powers; dimension None if invalid."""
    text = re.sub(r"[⁻⁰¹²³⁴-⁹]+", lambda match: f"^{match[0]}", name.strip())
    text = unicodedata.normalize("NFKC", text).replace("−", "-").replace("**", "^").lower()
    size, powers, end = 1.0, [0, 0, 0, 0], 0
    signs = [1]  # of the powers, one for each open parenthesis
    divided = False
    while end < len(text):
        token = _TOKEN.match(text, end)
        if token is None:
            return 1.0, None
        end = token.end()
        word, power, mark, _ = token.groups()
        if mark == "/":
            divided = True
        elif mark == "(":
            signs.append(-signs[-1] if divided else signs[-1])
            divided = False
        elif mark == ")" and len(signs) > 1:
            signs.pop()
        elif word is not None:
            base = _BASE.get(_ALIASES.get(word, word))
            if base is None:
                return 1.0, None
            exponent = int(power or 1) * signs[-1] * (-1 if divided else 1)
            size *= base[0] ** exponent
            powers = [n + exponent * m for n, m in zip(powers, base[1], strict=True)]
            divided = False
        elif mark is not None:
            return 1.0, None
    return size, None if len(signs) > 1 else (powers[0], powers[1], powers[2], powers[3])
