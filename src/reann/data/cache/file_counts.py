"""Counts of the structures of a file, stored in the cache as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ase

from reann.data.files.skipped import SkippedData
from reann.data.labels.conditions import VaryingConditions
from reann.data.labels.keys import KeyCensus


class FileCounts:
    """Keys, conditions, skipped data and zero forces of a file or of several files."""

    def __init__(self) -> None:
        self.census = KeyCensus()
        self.conditions = VaryingConditions()
        self.skipped: list[SkippedData] = []
        self.with_zero_forces = 0
        """Number of structures in which the forces on some but not all atoms are exactly zero."""
        self.constrained = 0
        """Number of structures with forces and constraints."""

    def add(self, atoms: ase.Atoms, origin: str) -> None:
        """Count a structure as read from the file."""
        self.census.add(atoms, origin)
        self.conditions.add(atoms)

    def add_labels(self, atoms: ase.Atoms, labels: Mapping[str, Any]) -> None:
        """Count the labels of a structure."""
        if "forces" in labels:  # programs write zeros for fixed atoms
            zero = (labels["forces"] == 0).all(axis=1)
            if zero.any() and not zero.all():
                self.with_zero_forces += 1
            self.constrained += bool(atoms.constraints)

    def state(self, name: str) -> dict[str, Any]:
        """Return the counts of a file as JSON, without the name of the file."""
        return {
            "census": self.census.state(),
            "conditions": self.conditions.state(),
            "remarks": [[r.kind, r.origin.removeprefix(name), r.what] for r in self.skipped],
            "zero": [self.with_zero_forces, self.constrained],
        }

    def merge(self, state: Mapping[str, Any], name: str) -> None:
        """Add the result of `state` for a file, which may have been renamed."""
        self.census.merge(state["census"], name)
        self.conditions.merge(state["conditions"])
        self.skipped += [
            SkippedData(kind, name + place, what) for kind, place, what in state["remarks"]
        ]
        zero, constrained = state["zero"]
        self.with_zero_forces += zero
        self.constrained += constrained
