"""Units given in a file: in keys such as ``energy-unit``, or in the metadata of a database.

They are used where `data.units` is not set; a contradiction between the two is an error.
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
from reann.data.labels.names import unit_of_name, words_of
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
"""Names under which a file may give the unit of each field, besides the key of the label."""
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
PARSERS: dict[str, Callable[[str], float]] = {
    "energy": units.energy,
    "length": units.length,
    "forces": units.force,
    "stress": units.stress,
    "virial": units.energy,
    "dipole": units.dipole,
    "transition_dipole": units.dipole,
    "polarizability": units.polarizability,
}
"""Functions that return the size of a unit of each field."""
_SAME = 1e-3
"""Relative tolerance; constants of programs differ slightly, units by much more."""


@dataclass(frozen=True)
class Factors:
    """Factors that convert numbers of a file to eV, Å and e."""

    sizes: Mapping[str, float]
    """Factor by label, and for `length`."""
    names: Mapping[str, str] = dataclasses.field(compare=False)
    """Names of the units."""

    @property
    def length(self) -> float:
        """Factor of positions and cell."""
        return self.sizes["length"]

    def of(self, label: str) -> float:
        """Return the factor of a label; 1 for labels that are not converted."""
        return self.sizes.get(label, 1.0)


@lru_cache(maxsize=4096)
def states_unit(key: str) -> bool:
    """Return whether a key gives a unit."""
    return "unit" in key.lower() and bool(_UNIT & set(words_of(key))) and key != "unit_cell"


def units_of_database(metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the units in the metadata of an ASE database, as keys of its structures.

    SchNetPack writes `_property_unit_dict` and `_distance_unit`; ASE stores the unit of a key as
    the last part of its entry in `key_descriptions`.
    """
    units_by_key = {key: value for key, value in metadata.items() if states_unit(key)}
    descriptions = metadata.get("key_descriptions")
    for key, parts in descriptions.items() if isinstance(descriptions, Mapping) else ():
        if isinstance(parts, list | tuple) and len(parts) == 3 and parts[2]:
            units_by_key[f"{key}-unit"] = parts[2]
    return units_by_key


def stated_units(info: Mapping[str, Any]) -> dict[str, str]:
    """Return the units given by a structure, by the lower-case name of their quantity."""
    in_file: dict[str, str] = {}
    for key, value in info.items():
        if not states_unit(key):
            continue
        name = "".join(word for word in words_of(key) if word not in _UNIT)
        if isinstance(value, Mapping):
            in_file |= {_plain(str(k)): v for k, v in value.items() if isinstance(v, str)}
        elif isinstance(value, str) and value.strip():
            in_file |= {name: value} if name else _of_text(value.strip())
    return in_file


def factors(
    in_file: Mapping[str, str], keys: Mapping[str, str | None], configured: Units, origin: str
) -> Factors:
    """Return the conversion factors of a structure.

    Parameters
    ----------
    in_file
        Units in the file, see `stated_units`.
    keys
        Keys of the labels; a file may give the unit of a key.
    configured
        Units of the configuration: set fields must agree with the file, the others are defaults.

    Raises
    ------
    UserError
        If a unit in the file is unknown or contradicts the configuration.
    """
    names: dict[str, str] = {}
    for field in _NAMES:
        used = field in ("energy", "length") or keys.get(field) is not None
        name = (
            _unit_in_file(field, in_file, keys.get(field), configured, origin)
            if in_file and used
            else None
        )
        name = name or getattr(configured, field, None)
        if name is not None:
            names[field] = name
    return _sized(tuple(names.items()))


@lru_cache(maxsize=256)
def _sized(known: tuple[tuple[str, str], ...]) -> Factors:
    """Return the factors of all fields; those of unset fields follow from energy and length."""
    names = dict(known)
    sizes = {field: PARSERS[field](name) for field, name in known}
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
    """Return notes about keys that contain the name of a unit."""
    keys_with_units = (
        (label, key, unit_of_name(key)) for label, key in keys.items() if key is not None
    )
    return [
        f"According to its name, '{key}' is in {unit}, but it is read in {named(label).unit}: if"
        f" the name is correct, set data.units.{'energy' if label == 'virial' else label}."
        for label, key, unit in keys_with_units
        if unit is not None
        and label in _NAMES
        and (named(label).from_energy or _is_known(label, unit))
    ]


def to_angstrom(atoms: ase.Atoms, configured: Units, origin: str) -> None:
    """Convert positions and cell of a structure to Å, in place; for errors see `factors`.

    Labels must be read before, as a virial needs the volume in the units of the file.
    """
    in_file = stated_units(atoms.info)
    unit = _unit_in_file("length", in_file, None, configured, origin) if in_file else None
    length = units.length(unit or configured.length)
    if length != 1.0:
        atoms.set_cell(atoms.cell.array * length)
        atoms.positions *= length


def angstrom(
    structures: Iterator[tuple[ase.Atoms, str]], units: Units
) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield structures with positions and cell in Å, without labels."""
    for atoms, origin in structures:
        atoms.calc = None
        to_angstrom(atoms, units, origin)
        yield atoms, origin


def _unit_in_file(
    field: str, in_file: Mapping[str, str], key: str | None, configured: Units, origin: str
) -> str | None:
    """Return the unit of a field in the file; None if the file does not give it."""
    of_key = in_file.get(_plain(key)) if key else None
    general = [in_file[name] for name in _NAMES[field] if name in in_file]
    texts = [of_key] if of_key is not None else general
    by_user = getattr(configured, field, None) if field in configured.model_fields_set else None
    unknown = [text for text in texts if not _is_known(field, text)]
    if unknown and by_user is not None:
        return by_user
    if unknown:
        raise _not_known(field, unknown[0], origin)
    texts += [by_user] if by_user is not None else []
    sizes = [PARSERS[field](text) for text in texts]
    for text, size in zip(texts, sizes, strict=True):
        if not math.isclose(size, sizes[0], rel_tol=_SAME):
            other = f"data.units.{field} is '{text}'" if text == by_user else f"also '{text}'"
            raise UserError(
                f"The file gives the unit '{texts[0]}' of the {field}, but {other}.",
                origin,
                f"Correct either data.units.{field} or the unit in the file.",
            )
    return texts[0] if texts else None


def _not_known(field: str, text: str, origin: str) -> UserError:
    fix = f"Set data.units.{field}, or correct the unit in the file."
    if field == "virial":
        fix = "Correct the unit in the file: a virial has a unit of energy."
    return UserError(f"The file gives an unknown unit of the {field}: '{text}'.", origin, fix)


def _of_text(text: str) -> dict[str, str]:
    """Return the units in the text of a key ``units``: a system of units, or a list of units."""
    if text.lower() in _SYSTEMS:
        return dict(_SYSTEMS[text.lower()])
    result: dict[str, str] = {}
    for part in [text] if _field(text) else text.replace(",", " ").replace(";", " ").split():
        # An unknown text is treated as a unit of the energy, so that it is refused.
        result[_field(part) or "energy"] = part
    return result


def _field(text: str) -> str | None:
    """Return the field that a text is a unit of; None if unknown."""
    return next((f for f in ("energy", "length", "forces", "stress") if _is_known(f, text)), None)


def _is_known(field: str, text: str) -> bool:
    try:
        PARSERS[field](text)
    except UserError:
        return False
    return True


def _plain(key: str) -> str:
    return "".join(words_of(key))
