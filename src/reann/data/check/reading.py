"""Findings about what the readers have left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reann.data.check.finding import MOST_EXAMPLES, Finding, Severity
from reann.data.remarks import Remark

MEANING: dict[str, tuple[Severity, str, str]] = {
    "not-converged": (
        "error",
        "the electronic steps did not converge: energy, forces and stress are left out",
        "Converge them, or remove the structures. `data: {missing: allow}` trains without labels.",
    ),
    "cut-structure": (
        "warning",
        "the file ends within its last structure, which is left out",
        "Copy the file again, unless the run that wrote it was stopped.",
    ),
    "no-energy": (
        "note",
        "a LAMMPS dump has forces, but no energies",
        "Without energies of other files, a training fits the forces alone.",
    ),
}


def left_out(remarks: Iterable[Remark], missing_allowed: bool) -> Iterator[Finding]:
    """Yield a finding for each kind of remark."""
    origins: dict[str, list[str]] = {}
    for remark in remarks:
        origins.setdefault(remark.kind, []).append(remark.origin)
    for name, where in origins.items():
        severity, message, fix = MEANING[name]
        if name == "not-converged" and missing_allowed:
            severity = "warning"
        count = 0 if name == "no-energy" else len(where)
        yield Finding(name, severity, message, fix, count, tuple(where[:MOST_EXAMPLES]))
