"""Data that a reader skipped in a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from reann.errors import listed


@dataclass(frozen=True)
class SkippedData:
    """Skipped data of a file.

    `not-converged`: the labels of a structure; `cut-structure`: an incomplete last structure;
    `no-energy`: energies that are not in the file but invented by the reader of ASE.
    """

    kind: Literal["not-converged", "cut-structure", "no-energy"]
    origin: str
    """`file#index`, or the file."""
    what: str


ReportSkipped = Callable[[SkippedData], None]
"""Called for skipped data while structures are read."""


def summarized(items: Iterable[SkippedData]) -> list[str]:
    """Return a line for each kind of skipped data with the affected structures."""
    origins: dict[str, list[str]] = {}
    for item in items:
        origins.setdefault(item.what, []).append(item.origin)
    return [f"{listed(affected)}: {what}" for what, affected in origins.items()]


def print_truncated(item: SkippedData) -> None:
    """Print a note about a truncated structure to stderr; other items concern labels only."""
    if item.kind == "cut-structure":
        print_notes(summarized([item]))


def print_notes(notes: Iterable[str]) -> None:
    """Print notes to stderr, so that they do not mix with results."""
    for note in notes:
        sys.stderr.write(f"note: {note}\n")


def ignore(_: SkippedData) -> None:
    """Do nothing, for a file that is read again."""
