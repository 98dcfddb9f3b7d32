"""Records of the calculations of an iteration: labels, or the reason of failure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase

from reann.learning.folders import Iteration, read_frames, read_json, write_frames, write_json
from reann.learning.label.calculation import Outcome


@dataclass(frozen=True)
class Records:
    """Files of the calculations of an iteration; an existing file is final."""

    iteration: Iteration

    def missing(self, count: int) -> list[int]:
        """Return the indices of the structures without a record."""
        return [number for number in range(count) if not self._json(number).exists()]

    def folder(self, number: int) -> Path:
        """Return the folder of a calculation by an external program."""
        return self.iteration.calculations / f"{number:04d}"

    def write(self, number: int, outcome: Outcome) -> None:
        """Record a calculation; the record comes last, as it marks the structure as complete."""
        if outcome.atoms is not None:
            write_frames(self._xyz(number), [outcome.atoms])
        about = {"failed": outcome.reason or None, "seconds": round(outcome.seconds, 3)}
        write_json(self._json(number), about)

    def finish(self, count: int) -> None:
        """Write all labels into one file."""
        labeled: list[ase.Atoms] = []
        for number in range(count):
            if self.about(number)["failed"] is None:
                labeled += read_frames(self._xyz(number))
        write_frames(self.iteration.labels, labeled)

    def about(self, number: int) -> dict[str, Any]:
        """Return the record of a calculation."""
        return read_json(self._json(number))

    def failures(self, count: int) -> dict[int, str]:
        """Return the reasons of failed calculations by their number."""
        reasons = {number: self.about(number)["failed"] for number in range(count)}
        return {number: reason for number, reason in reasons.items() if reason}

    def seconds(self, count: int) -> float:
        """Return the total time of all calculations, s."""
        return float(sum(self.about(number)["seconds"] for number in range(count)))

    def _json(self, number: int) -> Path:
        return self.iteration.calculations / f"{number:04d}.json"

    def _xyz(self, number: int) -> Path:
        return self.iteration.calculations / f"{number:04d}.xyz"
