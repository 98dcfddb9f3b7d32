"""What is counted while the structures of a file stream by, and kept in the cache as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ase

from reann.data.conditions import VaryingConditions
from reann.data.keys import KeyCensus
from reann.data.remarks import Remark


class FileCounts:
    """Keys, conditions, remarks and zero forces of a file, or the sums over several files."""

    def __init__(self) -> None:
        self.census = KeyCensus()
        self.conditions = VaryingConditions()
        self.remarks: list[Remark] = []
        self.with_zero_forces = 0
        """Structures in which the forces on some atoms, not on all, are exactly zero."""
        self.constrained = 0
        """Structures with forces and with constraints."""

    def add(self, atoms: ase.Atoms, origin: str) -> None:
        """Count a structure as it is in the file."""
        self.census.add(atoms, origin)
        self.conditions.add(atoms)

    def add_labels(self, atoms: ase.Atoms, given: Mapping[str, Any]) -> None:
        """Count the labels of a structure."""
        if "forces" in given:  # programs write zeros for fixed atoms
            zero = (given["forces"] == 0).all(axis=1)
            if zero.any() and not zero.all():
                self.with_zero_forces += 1
            self.constrained += bool(atoms.constraints)

    def state(self, name: str) -> dict[str, Any]:
        """Return the counts of a file of this name as JSON, in which the name is not."""
        return {
            "census": self.census.state(),
            "conditions": self.conditions.state(),
            "remarks": [[r.kind, r.origin.removeprefix(name), r.what] for r in self.remarks],
            "zero": [self.with_zero_forces, self.constrained],
        }

    def merge(self, state: Mapping[str, Any], name: str) -> None:
        """Add what `state` returned for a file, which now has this name."""
        self.census.merge(state["census"], name)
        self.conditions.merge(state["conditions"])
        self.remarks += [Remark(kind, name + place, what) for kind, place, what in state["remarks"]]
        zero, constrained = state["zero"]
        self.with_zero_forces += zero
        self.constrained += constrained
