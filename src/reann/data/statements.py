"""What the structures of files state about their units: counted, then what follows for labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from reann.config import Units
from reann.data.kinds import frame_of
from reann.data.stated import factors, notes_of_names, stated_units


class Statements:
    """Counts what structures that stream by state about their units."""

    def __init__(self) -> None:
        self._first: dict[tuple[tuple[str, str], ...], str] = {}
        self._counts: Counter[tuple[tuple[str, str], ...]] = Counter()

    def add(self, info: Mapping[str, Any], origin: str) -> None:
        """Count one structure."""
        statement = tuple(sorted(stated_units(info).items()))
        self._counts[statement] += 1
        self._first.setdefault(statement, origin)

    def state(self) -> list[list[Any]]:
        """Return each statement, the number and the first frame of its structures, as JSON."""
        return [
            [dict(statement), n, frame_of(self._first[statement])]
            for statement, n in self._counts.items()
        ]

    def merge(self, state: list[list[Any]], name: str) -> None:
        """Add what `state` returned for a file, which now has this name."""
        for stated, n, frame in state:
            statement = tuple(stated.items())
            self._counts[statement] += n
            self._first.setdefault(statement, f"{name}#{frame}")

    def energy(self, given: Units) -> float:
        """Return the largest unit of the energy in eV; errors as `factors`."""
        return max(
            factors(dict(statement), {}, given, origin).of("energy")
            for statement, origin in self._first.items()
        )

    def resolve(
        self, keys: Mapping[str, str | None], given: Units
    ) -> tuple[dict[str, str], list[str]]:
        """Return the units of the labels where all structures state the same, and notes.

        The notes say what is converted because the files state it, and which keys have the name of
        a unit that nothing is converted from; errors as `factors`.
        """
        lines: list[str] = []
        names: dict[str, str] = {}
        usual = factors({}, keys, given, "")
        for statement, n in self._counts.items():
            known = factors(dict(statement), keys, given, self._first[statement])
            names = {k: v for k, v in known.names.items() if k == "length" or keys.get(k)}
            if known != usual:
                shown = ", ".join(
                    f"{label} in {unit}"
                    for label, unit in names.items()
                    if label != "length" or known.length != 1.0
                )
                of = f"{n} of {self._counts.total()} structures"
                lines.append(f"Units that the files state ({of}) are converted: {shown}.")
        if not given.model_fields_set and self._counts.keys() <= {()}:
            lines += notes_of_names(keys)
        everywhere = len(self._counts) == 1 and () not in self._counts
        return names if everywhere else {}, lines
