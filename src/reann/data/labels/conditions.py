"""Conditions of a calculation that are not inputs of the model: charge, spin, external field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import ase
import numpy as np

from reann.data.labels.inputs import is_default

CONDITIONS = re.compile(
    r"(total_?|net_?|system_?)?charge|(total_?)?spin|(spin_?)?multiplicity|mult|n_?elect(rons)?"
    r"|total_?magmom|(external_?|electric_?|ext_?)?e?_?field|efield|(electronic_?)?temperature",
    re.IGNORECASE,
)
"""Keys of conditions that change the energy at the same geometry."""


def conditions_of(atoms: ase.Atoms) -> tuple[tuple[str, Any], ...]:
    """Return the conditions of a structure, by key, with hashable values.

    The default of a charge, a spin or a field is not a condition, like one that is not stated.
    """
    of_info = ((k, _plain(v)) for k, v in atoms.info.items() if _is_condition(k))
    return tuple((key, value) for key, value in of_info if not is_default(key, value))


@lru_cache(maxsize=4096)
def _is_condition(key: str) -> bool:
    return CONDITIONS.fullmatch(key) is not None


def varying(first: tuple[tuple[str, Any], ...], second: tuple[tuple[str, Any], ...]) -> list[str]:
    """Return the names of the conditions in which two structures differ."""
    a, b = dict(first), dict(second)
    return sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))


class VaryingConditions:
    """Detects conditions that differ among structures."""

    def __init__(self) -> None:
        self._first: dict[str, Any] | None = None
        self._varying: set[str] = set()

    def add(self, atoms: ase.Atoms) -> None:
        """Compare a structure with the first one."""
        self._compare(dict(conditions_of(atoms)))

    def _compare(self, conditions: dict[str, Any]) -> None:
        if self._first is None:
            self._first = conditions
        elif conditions != self._first:
            self._varying.update(varying(tuple(self._first.items()), tuple(conditions.items())))

    def state(self) -> list[Any]:
        """Return the result for one file as JSON."""
        return [self._first, sorted(self._varying)]

    def merge(self, state: list[Any]) -> None:
        """Add the result of `state` for a file."""
        first, names = state
        if first is None:
            return
        self._compare({k: tuple(v) if isinstance(v, list) else v for k, v in first.items()})
        self._varying.update(names)

    def names(self) -> list[str]:
        """Return the keys of the conditions that vary."""
        return sorted(self._varying)


def unknown_to_model(names: Iterable[str]) -> str:
    """Return a clause about conditions that vary; empty if there are none."""
    quoted = ", ".join(f"`{name}`" for name in names)
    return f"; {quoted} varies, which is not an input of this model" if quoted else ""


def _plain(value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind in "fiub":
        return tuple(np.round(array.astype(float).ravel(), 10).tolist())
    return str(value)
