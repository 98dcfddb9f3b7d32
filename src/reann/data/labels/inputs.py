"""Inputs of a model in `atoms.info`: total charge, spin multiplicity, external field.

An input is read under the key of the training files, under its name, or under an alias such as
`total_charge`. What a structure does not state is the default of `reann.quantities`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.config import Keys
from reann.data.labels.names import names_of
from reann.data.labels.recorded import recorded_conventions
from reann.data.labels.values import check_finite, numeric
from reann.errors import UserError, listed
from reann.quantities import SOUGHT, inputs, named

Values = dict[str, NDArray[np.float64]]
"""Inputs that a structure states, by name, in the units of `reann.quantities`."""
State = tuple[tuple[str, tuple[float, ...]], ...]
"""Inputs that differ from their defaults, by name: equal for structures with equal inputs."""


def state_of(values: Mapping[str, Any]) -> State:
    """Return the state of a structure with these numbers by input or by key of an input."""
    flat = ((name, tuple(np.ravel(x).astype(float).tolist())) for name, x in values.items())
    return tuple((name, numbers) for name, numbers in flat if not is_default(name, numbers))


def is_default(key: str, value: object) -> bool:
    """Return whether a key states the default of an input."""
    return (default := _default_of(key)) is not None and default == value


@lru_cache(maxsize=4096)
def _default_of(key: str) -> tuple[float, ...] | None:
    """Return the default of the input that a key states; None for other keys."""
    for quantity in inputs():
        if quantity.default is not None and names_of(quantity.name, [key]):
            return (quantity.default,) * int(np.prod(quantity.shape))
    return None


@dataclass(frozen=True)
class InputKeys:
    """Reads the inputs of a model from `atoms.info`.

    Equal values under several keys are one value; different values are an error.
    """

    names: tuple[str, ...] = ()
    """Inputs that are read."""
    recorded: tuple[tuple[str, str], ...] = ()
    """Inputs and their keys in the training files. Where a structure has such a key, no alias is
    read, as in the training."""

    @classmethod
    def of_training(cls, names: Iterable[str], metadata: Mapping[str, Any]) -> InputKeys:
        """Return the keys of a potential with these inputs and this metadata."""
        conventions = recorded_conventions(metadata) if (names := tuple(names)) else None
        return cls(names) if conventions is None else cls.of_files(names, conventions[0])

    @classmethod
    def of_files(cls, names: Iterable[str], keys: Keys) -> InputKeys:
        """Return the keys of files that are read with `data.keys`."""
        names = tuple(names)
        chosen = ((name, keys.of(name)) for name in names)
        return cls(names, tuple((n, key) for n, key in chosen if key not in (None, SOUGHT)))

    def held(self, info: Mapping[Any, Any]) -> tuple[tuple[str, ...], ...]:
        """Return the keys that hold each input, in the order of the names."""
        return _held(self, tuple(info)) if self.names else ()

    def read(self, atoms: ase.Atoms, where: str = "") -> Values:
        """Return the inputs that a structure states.

        Raises
        ------
        UserError
            If a value has the wrong shape or type or is not finite, or if the values under several
            keys differ.
        """
        of_names = zip(self.names, self.held(atoms.info), strict=False)
        return {name: _read(name, keys, atoms, where) for name, keys in of_names if keys}

    def state(self, info: Mapping[str, Any]) -> State:
        """Return the state of a structure, without values that are no numbers or contradict."""
        numbers = {}
        for name, keys in zip(self.names, self.held(info), strict=False):
            values = [np.asarray(info[key]) for key in keys]
            if values and all(_is_same(values[0], value) for value in values):
                numbers |= {name: values[0]} if values[0].dtype.kind in "fiu" else {}
        return state_of(numbers)

    def rename(self, atoms: ase.Atoms, where: str) -> None:
        """Move the inputs of a structure to their names in `info`, in place.

        No other key of an input remains, so that a later change is unambiguous. For errors see
        `read`.
        """
        for name, keys in zip(self.names, self.held(atoms.info), strict=False):
            if keys:
                _read(name, keys, atoms, where)
                _move(name, keys, atoms)

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
        """Return the inputs that differ, in little time if the values are the same objects."""
        return [
            name
            for name, was, now in zip(self.names, self.held(before), self.held(after), strict=False)
            if was != now or not all(_is_same(before[key], after[key]) for key in now)
        ]


@lru_cache(maxsize=1024)
def _held(keys: InputKeys, info: tuple[Any, ...]) -> tuple[tuple[str, ...], ...]:
    texts, recorded = _texts(info), dict(keys.recorded)
    return tuple(
        tuple(dict.fromkeys(key for key in (name, recorded[name]) if key in texts))
        if recorded.get(name) in texts
        else tuple(names_of(name, texts))
        for name in keys.names
    )


def _read(name: str, keys: Sequence[str], atoms: ase.Atoms, where: str) -> NDArray[np.float64]:
    """Return the value of an input that a structure has under these keys."""
    try:
        values = [numeric(atoms.info, key, [named(name).shape], where) for key in keys]
        check_finite(name, values[0], may_be_missing=False, origin=where)
        _check_alike(name, dict(zip(keys, values, strict=True)), where)
    except UserError:
        if where:
            raise
        return _read(name, keys, atoms, str(atoms.symbols))  # only errors need the formula
    return values[0]


def _check_alike(name: str, values: Values, where: str) -> None:
    """Raise `UserError` if the values of an input, by key, differ."""
    first, *others = values.values()
    if any((value != first).any() for value in others):
        each = listed(f"{key} = {value}" for key, value in values.items())
        raise UserError(
            f"Several keys could be the {named(name).about}: {each}.",
            where,
            f"Keep only the correct value, as `{name}`.",
        )


def set_input(name: str, value: Any, atoms: ase.Atoms) -> None:
    """Set an input of a structure under its name, in place; remove the other keys of the input."""
    for alias in names_of(name, _texts(atoms.info)):
        del atoms.info[alias]
    atoms.info[name] = value


def _move(name: str, keys: Sequence[str], atoms: ase.Atoms) -> None:
    """Move the value under the first key to the name of an input; remove its other keys."""
    value, *_ = (atoms.info.pop(key) for key in keys)
    set_input(name, value, atoms)


def _texts(info: Iterable[Any]) -> list[str]:
    return [key for key in info if isinstance(key, str)]


def _is_same(was: Any, now: Any) -> bool:
    return was is now or np.array_equal(was, now)


@cache
def every_input() -> InputKeys:
    """Return the keys of all possible inputs, under names that are recognized."""
    return InputKeys(tuple(quantity.name for quantity in inputs()))


def input_key(name: str, keys: Iterable[str], where: str) -> str | None:
    """Return the key of an input in files; None if there is none.

    Raises
    ------
    UserError
        If several keys could hold the input.
    """
    names = names_of(name, keys)
    if len(names) > 1:
        raise UserError(
            f"Several keys could be the {named(name).about}: {listed(names)}.",
            where,
            f"Set data.keys.{name} to the correct one or to null.",
        )
    return names[0] if names else None


def with_input_names(
    structures: Iterable[tuple[ase.Atoms, str]], names: Sequence[str], keys: Keys
) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield structures with the inputs under their names in `info`; for errors see `InputKeys`.

    A key that the user has set takes precedence over all other keys of the input.
    """
    chosen = {name: key for name in names if (key := keys.of(name)) not in (None, SOUGHT)}
    for atoms, origin in structures:
        for name in (name for name, key in chosen.items() if key in atoms.info):
            _move(name, [str(chosen[name])], atoms)
        InputKeys(tuple(names)).rename(atoms, origin)
        yield atoms, origin
