"""Counts of the units given by structures, and the resulting units of the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from reann.config import Units
from reann.data.labels.file_units import factors, notes_of_names, stated_units
from reann.data.labels.key_sets import frame_of


class UnitCounts:
    """Counts the units given by structures."""

    def __init__(self) -> None:
        self._first: dict[tuple[tuple[str, str], ...], str] = {}
        self._counts: Counter[tuple[tuple[str, str], ...]] = Counter()

    def add(self, info: Mapping[str, Any], origin: str) -> None:
        """Count one structure."""
        statement = tuple(sorted(stated_units(info).items()))
        self._counts[statement] += 1
        self._first.setdefault(statement, origin)

    def state(self) -> list[list[Any]]:
        """Return each set of units with the number of its structures and the first one, as JSON."""
        return [
            [dict(statement), n, frame_of(self._first[statement])]
            for statement, n in self._counts.items()
        ]

    def merge(self, state: list[list[Any]], name: str) -> None:
        """Add the result of `state` for a file, which may have been renamed."""
        for in_file, n, frame in state:
            statement = tuple(in_file.items())
            self._counts[statement] += n
            self._first.setdefault(statement, f"{name}#{frame}")

    def energy(self, configured: Units) -> float:
        """Return the largest unit of the energy in eV; for errors see `factors`."""
        return max(
            factors(dict(statement), {}, configured, origin).of("energy")
            for statement, origin in self._first.items()
        )

    def resolve(
        self, keys: Mapping[str, str | None], configured: Units
    ) -> tuple[dict[str, str], list[str]]:
        """Return the units of the labels, if they are the same for all structures, and notes.

        The notes list units in the files that are converted, and keys whose names contain a unit
        that is not converted. For errors see `factors`.
        """
        lines: list[str] = []
        names: dict[str, str] = {}
        default = factors({}, keys, configured, "")
        for statement, n in self._counts.items():
            converted = factors(dict(statement), keys, configured, self._first[statement])
            names = {k: v for k, v in converted.names.items() if k == "length" or keys.get(k)}
            if converted != default:
                shown = ", ".join(
                    f"{label} in {unit}"
                    for label, unit in names.items()
                    if label != "length" or converted.length != 1.0
                )
                of = f"{n} of {self._counts.total()} structures"
                lines.append(f"Units given in the files ({of}) are converted: {shown}.")
        if not configured.model_fields_set and self._counts.keys() <= {()}:
            lines += notes_of_names(keys)
        same_everywhere = len(self._counts) == 1 and () not in self._counts
        return names if same_everywhere else {}, lines
