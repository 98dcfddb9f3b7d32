"""What a reader has left out of a file, for those who use the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from reann.errors import listed


@dataclass(frozen=True)
class Remark:
    """Something that was in a file and is not used.

    `not-converged` is a structure that is used without its labels, `cut-structure` the last one of
    a file that ends within it, which is not used at all, `no-energy` a file whose energies the
    reader of ASE invents.
    """

    kind: Literal["not-converged", "cut-structure", "no-energy"]
    origin: str
    """`file#index`, or the file."""
    what: str


Remarks = Callable[[Remark], None]
"""Takes remarks while structures are read."""


def summarized(remarks: Iterable[Remark]) -> list[str]:
    """Return a line for each kind of remark, with where it was made."""
    origins: dict[str, list[str]] = {}
    for remark in remarks:
        origins.setdefault(remark.what, []).append(remark.origin)
    return [f"{listed(where)}: {what}" for what, where in origins.items()]


def print_cut(remark: Remark) -> None:
    """Print to stderr that a structure is missing, for those who need no labels."""
    if remark.kind == "cut-structure":
        print_notes(summarized([remark]))


def print_notes(notes: Iterable[str]) -> None:
    """Print notes where they do not mix with results."""
    for note in notes:
        sys.stderr.write(f"note: {note}\n")


def ignore(_: Remark) -> None:
    """Take a remark that was made before, on a file that is read once more."""
