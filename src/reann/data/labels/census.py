"""Counts of the keys of structures: per file, stored in the cache, summed for a data set."""

from __future__ import annotations

from collections import Counter
from typing import Any

import ase
import numpy as np

from reann.data.labels.key_sets import KeySets
from reann.data.labels.names import label_read
from reann.data.labels.unassigned_keys import UnassignedKeys
from reann.data.labels.unit_counts import UnitCounts
from reann.data.labels.values import differ, number, values_of
from reann.data.labels.weights import LabelWeights


class KeyCounts:
    """Counts keys of structures; the counts of several files can be added."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._labels: dict[str, str | None] = {}
        self._kinds: dict[tuple[bool, bool], KeySets] = {}
        self._conflicts: set[str] = set()
        self._free_energy_gap = 0.0
        self._unassigned = UnassignedKeys()
        self._weights = LabelWeights()
        self._units = UnitCounts()

    def add(self, atoms: ase.Atoms, origin: str) -> None:
        """Count the keys of one structure."""
        values = values_of(atoms)
        self._counts.update(values.keys())
        isolated = len(atoms) == 1 and not atoms.pbc.any()
        kind = self._kinds.setdefault((isolated, bool(atoms.pbc.all())), KeySets())
        kind.add(values, self._weights.add(atoms, values), origin)
        several: dict[str, list[str]] = {}
        unassigned = {}
        for key, value in values.items():
            label = self._label_of(key)
            if label is None:
                unassigned[key] = value
            else:
                several.setdefault(label, []).append(key)
        self._unassigned.add(atoms, unassigned)
        for label, (first, *others) in several.items():
            if label != "group" and any(differ(values[first], values[key]) for key in others):
                self._conflicts.add(label)
        if "energy" in values and "free_energy" in values:
            gap = np.abs(number(values["free_energy"]) - number(values["energy"])) / len(atoms)
            self._free_energy_gap = max(self._free_energy_gap, float(np.nan_to_num(gap)))
        self._units.add(atoms.info, origin)

    def _label_of(self, key: str) -> str | None:
        """Return the label that is read under a key; None if there is none."""
        if key not in self._labels:
            self._labels[key] = label_read(key)
        return self._labels[key]

    @property
    def n_structures(self) -> int:
        """Number of structures counted."""
        return sum(kind.n for kind in self._kinds.values())

    def state(self) -> dict[str, Any]:
        """Return the counts of one file as JSON; structures are identified by their index."""
        return {
            "counts": dict(self._counts),
            "kinds": [[*kind, sets.state()] for kind, sets in self._kinds.items()],
            "conflicts": sorted(self._conflicts),
            "free_energy_gap": self._free_energy_gap,
            "unclaimed": self._unassigned.state(),
            "weights": self._weights.state(),
            "statements": self._units.state(),
        }

    def merge(self, state: dict[str, Any], name: str) -> None:
        """Add the result of `state` for a file, which may have been renamed."""
        self._counts.update(state["counts"])
        for isolated, full, sets in state["kinds"]:
            self._kinds.setdefault((isolated, full), KeySets()).merge(sets, name)
        self._conflicts.update(state["conflicts"])
        self._free_energy_gap = max(self._free_energy_gap, state["free_energy_gap"])
        self._unassigned.merge(state["unclaimed"])
        self._weights.merge(state["weights"])
        self._units.merge(state["statements"], name)
