"""Which key of structures states what a model asks of them, such as their total charge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import ase

from reann.config import Keys
from reann.data.names import names_of
from reann.errors import UserError, listed
from reann.quantities import SOUGHT, named


def sought_key(name: str, keys: Iterable[str], where: str) -> str | None:
    """Return the key that states an input, None where there is none.

    Raises
    ------
    UserError
        If several keys could.
    """
    names = names_of(name, keys)
    if len(names) > 1:
        raise UserError(
            f"Several keys could be the {named(name).about}: {listed(names)}.",
            where,
            f"Set data.keys.{name} to the right one, or to null.",
        )
    return names[0] if names else None


def under_own_names(
    structures: Iterator[tuple[ase.Atoms, str]], inputs: Sequence[str], keys: Keys
) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield structures whose `info` states inputs under their names; errors as `sought_key`."""
    for atoms, origin in structures:
        for name in inputs:
            key = keys.of(name)
            key = sought_key(name, atoms.info, origin) if key in (None, SOUGHT) else key
            if key in atoms.info:
                atoms.info[name] = atoms.info[key]
        yield atoms, origin
