"""Which key of a file holds which label: found by name when unambiguous, else asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ase
import numpy as np

from reann import units
from reann.config import DataConfig
from reann.errors import UserError, counted, did_you_mean, listed

_METHOD = r"(?:dft|ref|reference|target|true|qm|total|tot|label|pbe|pbe0|scan|cc|ccsdt?)"
_STEMS = {
    "energy": r"energy|etot|e_tot|toten|potential_energy",
    "forces": r"forces?",
    "stress": r"stress",
    "virial": r"virials?",
}
_PATTERNS = {
    label: re.compile(rf"(?:{_METHOD}[_-]?)*(?:{stem})(?:[_-]?{_METHOD})*", re.IGNORECASE)
    for label, stem in _STEMS.items()
}
_NAMED = {"weight": ("weight", "config_weight"), "group": ("config_type", "group")}
FREE_ENERGY_GAP = 1e-3
"""eV/atom; beyond it the free energy, which the forces belong to, is not the energy."""
_SAME = 1e-4
"""Two keys that differ less, in the units of the file, hold the same label."""


@dataclass(frozen=True)
class ResolvedKeys:
    """The key of each label, None where it is not used."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    virial: str | None = None
    weight: str | None = None
    group: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """How many structures have energy, forces, stress."""
    n_structures: int = 0
    notes: tuple[str, ...] = ()
    """What the user should hear about the choice."""


def values_of(atoms: ase.Atoms) -> dict[str, Any]:
    """Return everything a structure carries by key; results of its calculator go first."""
    results = atoms.calc.results if atoms.calc is not None else {}
    arrays = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    return {**arrays, **atoms.info, **{k: v for k, v in results.items() if v is not None}}


def names_of(label: str, keys: Iterable[str]) -> list[str]:
    """Return the keys that may hold a label, the canonical name first."""
    if label in _NAMED:
        return [name for name in _NAMED[label] if name in keys]
    return sorted((k for k in keys if _PATTERNS[label].fullmatch(k)), key=lambda k: (k != label, k))


class KeyCensus:
    """Counts keys over structures that stream by, then decides."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._kinds: dict[tuple[bool, bool], _Kind] = {}
        self._conflicts: set[str] = set()
        self._free_energy_gap = 0.0

    def add(self, atoms: ase.Atoms, origin: str) -> None:
        """Count the keys of one structure."""
        values = values_of(atoms)
        self._counts.update(values.keys())
        isolated = len(atoms) == 1 and not atoms.pbc.any()
        kind = self._kinds.setdefault((isolated, bool(atoms.pbc.all())), _Kind(origin))
        kind.add(values, origin)
        for label in _STEMS:
            names = names_of(label, values)
            if any(_differ(values[names[0]], values[other]) for other in names[1:]):
                self._conflicts.add(label)
        if "energy" in values and "free_energy" in values:
            gap = np.abs(_number(values["free_energy"]) - _number(values["energy"])) / len(atoms)
            self._free_energy_gap = max(self._free_energy_gap, float(np.nan_to_num(gap)))

    @property
    def n_structures(self) -> int:
        """Number of structures counted."""
        return sum(kind.n for kind in self._kinds.values())

    def resolve(self, data: DataConfig, where: str = "") -> ResolvedKeys:
        """Return the key of each label.

        Raises
        ------
        UserError
            If a key that was asked for is in no structure, several keys could be meant, a label is
            missing in some structures and the configuration does not allow it, or there is
            neither energy nor forces nor stress.
        """
        chosen: dict[str, str | None] = {
            label: self._choose(label, data, where) for label in (*_STEMS, *_NAMED)
        }
        asked = data.keys.model_fields_set
        if "virial" not in asked and (chosen["stress"] is not None or "stress" in asked):
            chosen["virial"] = None
        notes = []
        for label in ("stress", "virial"):
            if chosen[label] is not None and not any(full for _, full in self._kinds):
                if label in asked:
                    raise UserError(
                        f"The {label} was asked for, but no structure is periodic in 3D.",
                        where,
                        f"Set data.keys.{label} to null.",
                    )
                notes.append(f"'{chosen[label]}' is not used: no structure is periodic in 3D.")
                chosen[label] = None
        notes += self._prefer_free_energy(chosen, data, where)
        notes += [
            f"The {label} is read from '{chosen[label]}'."
            for label in _STEMS
            if chosen[label] not in (None, label, "free_energy") and label not in asked
        ]
        if not any(chosen[label] for label in _STEMS):
            raise UserError(
                "No energies, forces or stresses were found.",
                where,
                f"Name their keys in data.keys. {self._existing()}",
            )
        counts = self._check_missing(chosen, data, where)
        return ResolvedKeys(
            **chosen, counts=counts, n_structures=self.n_structures, notes=tuple(notes)
        )

    def _choose(self, label: str, data: DataConfig, where: str) -> str | None:
        if label in data.keys.model_fields_set:
            key: str | None = getattr(data.keys, label)
            if key is not None and key not in self._counts:
                raise UserError(
                    f"There is no key '{key}' for the {label} in any of {self.n_structures}"
                    f" structures.{did_you_mean(key, self._counts)}",
                    where,
                    f"Correct data.keys.{label}. {self._existing()}",
                )
            return key
        names = names_of(label, self._counts)
        if not names:
            return None
        if label in _NAMED:
            return names[0]
        rare = self._counts[names[0]] < max(self._counts[name] for name in names)
        if label in self._conflicts or rare:
            in_how_many = ((name, counted(self._counts[name], "structure")) for name in names)
            several = listed(f"'{name}' (in {structures})" for name, structures in in_how_many)
            raise UserError(
                f"Several keys could be the {label}: {several}.",
                where,
                f"Set data.keys.{label} to the right one.",
            )
        return names[0]

    def _prefer_free_energy(
        self, chosen: dict[str, str | None], data: DataConfig, where: str
    ) -> list[str]:
        gap = self._free_energy_gap * units.energy(data.units.energy)
        explicit = "energy" in data.keys.model_fields_set
        if chosen["energy"] is None and not explicit and "free_energy" in self._counts:
            chosen["energy"] = "free_energy"
            return ["The energy is read from 'free_energy': there is no 'energy'."]
        if chosen["energy"] != "energy" or gap <= FREE_ENERGY_GAP:
            return []
        differ = f"'free_energy' and 'energy' differ by up to {1e3 * gap:.1f} meV/atom"
        if explicit:
            return [f"{differ}; 'energy' is used as asked, but forces belong to 'free_energy'."]
        if self._counts["free_energy"] < self._counts["energy"]:
            raise UserError(
                f"{differ}, and only {self._counts['free_energy']} of"
                f" {self._counts['energy']} structures have 'free_energy'.",
                where,
                "Forces belong to the free energy: set data.keys.energy to the key to use.",
            )
        chosen["energy"] = "free_energy"
        return [f"{differ}: 'free_energy' is used, because forces belong to it."]

    def _check_missing(
        self, chosen: dict[str, str | None], data: DataConfig, where: str
    ) -> dict[str, int]:
        counts = {}
        for label in ("energy", "forces", "stress"):
            keys = [chosen[label]] + ([chosen["virial"]] if label == "stress" else [])
            used = [key for key in keys if key is not None]
            if not used:
                continue
            # The force on an isolated atom is zero; only a full cell has a stress.
            kinds = [
                kind
                for (isolated, full), kind in self._kinds.items()
                if (label != "forces" or not isolated) and (label != "stress" or full)
            ]
            counts[label] = sum(kind.count(used) for kind in self._kinds.values())
            lacking = [(kind.n - kind.count(used), kind.first_without(used)) for kind in kinds]
            n_lacking = sum(n for n, _ in lacking)
            if n_lacking and data.missing == "error":
                first = next(origin for n, origin in lacking if n)
                verb = "are" if label == "forces" else "is"
                names = " or ".join(f"'{key}'" for key in used)
                raise UserError(
                    f"The {label} ({names}) {verb} missing in {n_lacking} of"
                    f" {sum(kind.n for kind in kinds)} structures; the first is {first}.",
                    where,
                    "Set data.missing to allow (missing labels are then left out of the loss), or"
                    f" data.keys.{label} to another key or null. {self._existing()}",
                )
        return counts

    def _existing(self) -> str:
        if not self._counts:
            return "The structures carry no key at all."
        found = (f"'{key}' ({n})" for key, n in self._counts.most_common())
        return f"Keys and numbers of structures: {listed(found, 20)}."


class _Kind:
    """Keys of the structures of one kind, and the first structure that lacks each."""

    def __init__(self, first: str) -> None:
        self.n = 0
        self._first = first
        self._sets: Counter[frozenset[str]] = Counter()
        self._example: dict[frozenset[str], str] = {}

    def add(self, values: dict[str, Any], origin: str) -> None:
        self.n += 1
        keys = frozenset(values)
        self._sets[keys] += 1
        self._example.setdefault(keys, origin)

    def count(self, keys: list[str]) -> int:
        return sum(n for have, n in self._sets.items() if not have.isdisjoint(keys))

    def first_without(self, keys: list[str]) -> str:
        lacking = (self._example[have] for have in self._sets if have.isdisjoint(keys))
        return next(lacking, self._first)


def _number(value: Any) -> float:
    try:
        return float(np.asarray(value, dtype=np.float64).reshape(()))
    except (TypeError, ValueError):
        return float("nan")


def _differ(first: Any, second: Any) -> bool:
    try:
        one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    except (TypeError, ValueError):
        return True
    return one.size != two.size or bool((np.abs(one.ravel() - two.ravel()) > _SAME).any())
