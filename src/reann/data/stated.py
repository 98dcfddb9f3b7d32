"""Units that a file states itself: in keys such as ``energy-unit``, or in the data of a database.

A statement holds where `data.units` is silent; where the two contradict each other, nobody can
know which is right, and it is an error.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ase

from reann import units
from reann.config import Units
from reann.data.names import unit_of_name, words_of
from reann.errors import UserError
from reann.quantities import named

_UNIT = frozenset({"unit", "units"})
_NAMES: dict[str, tuple[str, ...]] = {
    "energy": ("energy", "energies"),
    "length": (
        *("length", "lengths", "distance", "distances", "position", "positions", "pos"),
        *("coord", "coords", "coordinate", "coordinates", "cell", "lattice", "box"),
    ),
    "forces": ("forces", "force"),
    "stress": ("stress", "pressure"),
    "virial": ("virial", "virials"),
    "dipole": ("dipole", "dipoles", "dipolemoment", "mu"),
    "transition_dipole": ("transitiondipole", "transitiondipoles", "transitiondipolemoment"),
    "polarizability": ("polarizability", "polarizabilities", "alpha"),
}
"""Names under which the unit of each field may be stated, besides the key of the label."""
_SYSTEMS = {
    "metal": {"energy": "eV", "length": "Ang", "stress": "bar"},
    "real": {"energy": "kcal/mol", "length": "Ang", "stress": "atm"},
    "electron": {"energy": "Hartree", "length": "Bohr", "stress": "Pa"},
    **{
        name: {"energy": "Hartree", "length": "Bohr"}
        for name in ("atomic", "atomic units", "au", "a.u.")
    },
}
"""Systems of units: those of LAMMPS, and atomic units."""
_PARSERS: dict[str, Callable[[str], float]] = {
    "energy": units.energy,
    "length": units.length,
    "forces": units.force,
    "stress": units.stress,
    "virial": units.energy,
    "dipole": units.dipole,
    "transition_dipole": units.dipole,
    "polarizability": units.polarizability,
}
_SAME = 1e-3
"""Relative; programs differ in the digits of their constants, units by much more."""


@dataclass(frozen=True)
class Factors:
    """What numbers of a file are multiplied by to be in eV, Å and e."""

    sizes: Mapping[str, float]
    """By label, and that of the length."""
    names: Mapping[str, str] = dataclasses.field(compare=False)
    """Of the units."""

    @property
    def length(self) -> float:
        """The factor of positions and cell."""
        return self.sizes["length"]

    def of(self, label: str) -> float:
        """Return the factor of a label; others are read in their own unit."""
        return self.sizes.get(label, 1.0)


@lru_cache(maxsize=4096)
def states_unit(key: str) -> bool:
    """Whether a key is the statement of a unit."""
    return "unit" in key.lower() and bool(_UNIT & set(words_of(key))) and key != "unit_cell"


def units_of_database(metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the statements in the metadata of an ASE database, as keys of its structures.

    SchNetPack writes `_property_unit_dict` and `_distance_unit`; ASE has the unit of a key as the
    last part of its entry in `key_descriptions`.
    """
    found = {key: value for key, value in metadata.items() if states_unit(key)}
    descriptions = metadata.get("key_descriptions")
    for key, parts in descriptions.items() if isinstance(descriptions, Mapping) else ():
        if isinstance(parts, list | tuple) and len(parts) == 3 and parts[2]:
            found[f"{key}-unit"] = parts[2]
    return found


def stated_units(info: Mapping[str, Any]) -> dict[str, str]:
    """Return the units that a structure states, by the lower-case name of what they belong to."""
    stated: dict[str, str] = {}
    for key, value in info.items():
        if not states_unit(key):
            continue
        name = "".join(word for word in words_of(key) if word not in _UNIT)
        if isinstance(value, Mapping):
            stated |= {_plain(str(k)): v for k, v in value.items() if isinstance(v, str)}
        elif isinstance(value, str) and value.strip():
            stated |= {name: value} if name else _of_text(value.strip())
    return stated


def factors(
    stated: Mapping[str, str], keys: Mapping[str, str | None], given: Units, origin: str
) -> Factors:
    """Return the size of the units of one structure.

    Parameters
    ----------
    stated
        Of `stated_units`.
    keys
        Of the labels; a unit may be stated for a key.
    given
        Of the configuration: fields that are set there must agree with what is stated, the others
        hold where nothing is stated.

    Raises
    ------
    UserError
        For a stated unit that is not known, or that contradicts the configuration.
    """
    names: dict[str, str] = {}
    for what in _NAMES:
        used = what in ("energy", "length") or keys.get(what) is not None
        name = _stated(what, stated, keys.get(what), given, origin) if stated and used else None
        name = name or getattr(given, what, None)
        if name is not None:
            names[what] = name
    return _sized(tuple(names.items()))


@lru_cache(maxsize=256)
def _sized(known: tuple[tuple[str, str], ...]) -> Factors:
    """Return the size of units by field, those that are not known from energy and length."""
    names = dict(known)
    sizes = {what: _PARSERS[what](name) for what, name in known}
    energy, length = sizes["energy"], sizes["length"]
    of_length = names["length"]
    per_length = f"{names['energy']}/{of_length}"
    derived = {
        "forces": (per_length, energy / length),
        "stress": (f"{per_length}^3", energy / length**3),
        "virial": (names["energy"], energy),
        "dipole": (f"e*{of_length}", length),
        "transition_dipole": (f"e*{of_length}", length),
        "polarizability": (f"{of_length}^3", length**3),
    }
    for label, (name, size) in derived.items():
        names.setdefault(label, name)
        sizes.setdefault(label, size)
    return Factors(sizes, names)


def notes_of_names(keys: Mapping[str, str | None]) -> list[str]:
    """Return notes about keys that end with the name of a unit."""
    found = ((label, key, unit_of_name(key)) for label, key in keys.items() if key is not None)
    return [
        f"By its name, '{key}' is in {unit}, but it is read in {named(label).unit}: if the name is"
        " right, set"
        f" data.units.{'energy' if label == 'virial' else label}."
        for label, key, unit in found
        if unit is not None
        and label in _NAMES
        and (named(label).from_energy or _is_known(label, unit))
    ]


def to_angstrom(atoms: ase.Atoms, given: Units, origin: str) -> None:
    """Scale positions and cell of a structure to Å, in place; errors as `factors`.

    Labels must be read before: a virial needs the volume in the units of the file.
    """
    units_here = stated_units(atoms.info)
    stated = _stated("length", units_here, None, given, origin) if units_here else None
    length = units.length(stated or given.length)
    if length != 1.0:
        atoms.set_cell(atoms.cell.array * length)
        atoms.positions *= length


def angstrom(
    structures: Iterator[tuple[ase.Atoms, str]], units: Units
) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield structures of files with positions and cell in Å, without labels."""
    for atoms, origin in structures:
        atoms.calc = None
        to_angstrom(atoms, units, origin)
        yield atoms, origin


def _stated(
    field: str, stated: Mapping[str, str], key: str | None, given: Units, origin: str
) -> str | None:
    """Return the unit of a field as it is stated, None if it is not."""
    own = stated.get(_plain(key)) if key else None
    general = [stated[name] for name in _NAMES[field] if name in stated]
    texts = [own] if own is not None else general
    asked = getattr(given, field, None) if field in given.model_fields_set else None
    unknown = [text for text in texts if not _is_known(field, text)]
    if unknown and asked is not None:
        return asked
    if unknown:
        raise _not_known(field, unknown[0], origin)
    texts += [asked] if asked is not None else []
    sizes = [_PARSERS[field](text) for text in texts]
    for text, size in zip(texts, sizes, strict=True):
        if not math.isclose(size, sizes[0], rel_tol=_SAME):
            other = f"data.units.{field} is '{text}'" if text == asked else f"also '{text}'"
            raise UserError(
                f"The file states the unit '{texts[0]}' of the {field}, but {other}.",
                origin,
                f"Correct what is wrong: data.units.{field}, or the statement in the file.",
            )
    return texts[0] if texts else None


def _not_known(field: str, text: str, origin: str) -> UserError:
    fix = f"Say what it is with data.units.{field}, or correct the statement in the file."
    if field == "virial":
        fix = "Correct the statement in the file: a virial has a unit of energy."
    return UserError(
        f"The file states the unit '{text}' of the {field}, which is not known.", origin, fix
    )


def _of_text(text: str) -> dict[str, str]:
    """Return the units of a key ``units``: a system, or one unit or more in a row."""
    if text.lower() in _SYSTEMS:
        return dict(_SYSTEMS[text.lower()])
    found: dict[str, str] = {}
    for part in [text] if _field(text) else text.replace(",", " ").replace(";", " ").split():
        # A text that nobody understands is taken for the unit of the energy, and so refused.
        found[_field(part) or "energy"] = part
    return found


def _field(text: str) -> str | None:
    """Return what a text is a unit of."""
    return next((f for f in ("energy", "length", "forces", "stress") if _is_known(f, text)), None)


def _is_known(field: str, text: str) -> bool:
    try:
        _PARSERS[field](text)
    except UserError:
        return False
    return True


def _plain(key: str) -> str:
    return "".join(words_of(key))
