"""Dipole moments that need a decision of the user."""

from __future__ import annotations

from collections.abc import Sequence

from reann.data.check.finding import Finding, about
from reann.data.check.record import Record


def periodic_dipoles(records: Sequence[Record]) -> Finding | None:
    """Return which periodic structures have a dipole moment."""
    return about(
        [r for r in records if "dipole" in r.labels and any(r.pbc)],
        "periodic-dipoles",
        "note",
        "dipole moments of periodic structures are defined up to an electron charge times a lattice"
        " vector",
        "See that all of them are on one branch of the polarization, which changes smoothly.",
    )
