"""Keys of the inputs of a model, such as the total charge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import ase

from reann.config import Keys
from reann.data.labels.names import names_of
from reann.errors import UserError, listed
from reann.quantities import SOUGHT, named


def input_key(name: str, keys: Iterable[str], where: str) -> str | None:
    """Return the key of an input; None if there is none.

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


def name_inputs(atoms: ase.Atoms, inputs: Sequence[str], keys: Keys, where: str) -> None:
    """Rename the inputs of a model in `info`, in place; for errors see `input_key`."""
    for name in inputs:
        key = keys.of(name)
        key = input_key(name, atoms.info, where) if key in (None, SOUGHT) else key
        if key in atoms.info:
            atoms.info[name] = atoms.info.pop(key)


def with_input_names(
    structures: Iterator[tuple[ase.Atoms, str]], inputs: Sequence[str], keys: Keys
) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield structures with the inputs under their names in `info`; for errors see `input_key`."""
    for atoms, origin in structures:
        name_inputs(atoms, inputs, keys, origin)
        yield atoms, origin
