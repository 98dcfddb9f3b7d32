"""Findings about structures and labels that the readers left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reann.data.check.finding import MOST_EXAMPLES, Finding, Severity
from reann.data.files.skipped import SkippedData

MEANING: dict[str, tuple[Severity, str, str]] = {
    "not-converged": (
        "error",
        "the electronic steps did not converge: energy, forces and stress are ignored",
        "Converge or remove them. `data: {missing: allow}` trains without these labels.",
    ),
    "cut-structure": (
        "warning",
        "the file ends within its last structure, which is ignored",
        "Copy the file again, unless the calculation that wrote it was stopped.",
    ),
    "no-energy": (
        "note",
        "a LAMMPS dump has forces but no energies",
        "Without energies from other files, only the forces are trained on.",
    ),
}


def left_out(skipped: Iterable[SkippedData], missing_allowed: bool) -> Iterator[Finding]:
    """Yield a finding for each kind of skipped data."""
    origins: dict[str, list[str]] = {}
    for item in skipped:
        origins.setdefault(item.kind, []).append(item.origin)
    for name, affected in origins.items():
        severity, message, fix = MEANING[name]
        if name == "not-converged" and missing_allowed:
            severity = "warning"
        count = 0 if name == "no-energy" else len(affected)
        yield Finding(name, severity, message, fix, count, tuple(affected[:MOST_EXAMPLES]))
