"""The folder of a loop and the files of its iterations.

Each file is written completely or not at all, and marks the end of a step: `chosen.xyz` when
structures are chosen, `labels.xyz` when all calculations have ended, `errors.json` when the last
potential has been tested, `summary.json` when the iteration is complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import ase.io

from reann import strict_json
from reann.atomic_file import write_text
from reann.errors import UserError
from reann.motion.frame import xyz_frame


@dataclass(frozen=True)
class Iteration:
    """The files of one iteration."""

    folder: Path

    @property
    def number(self) -> int:
        """Number of the iteration; 0 is the first training."""
        return int(self.folder.name.rpartition("-")[2])

    @property
    def settings(self) -> Path:
        """Settings at the beginning of the iteration."""
        return self.folder / "settings.yaml"

    @property
    def explored(self) -> Path:
        """Folder with structures and record of each exploration."""
        return self.folder / "explored"

    @property
    def chosen(self) -> Path:
        """Structures to label."""
        return self.folder / "chosen.xyz"

    @property
    def calculations(self) -> Path:
        """Folder with the files of each calculation."""
        return self.folder / "calculations"

    @property
    def labels(self) -> Path:
        """Structures with labels."""
        return self.folder / "labels.xyz"

    @property
    def errors(self) -> Path:
        """Errors of the last potential on the new labels."""
        return self.folder / "errors.json"

    @property
    def train(self) -> Path:
        """All training structures so far."""
        return self.folder / "train.xyz"

    @property
    def valid(self) -> Path:
        """All validation structures so far."""
        return self.folder / "valid.xyz"

    @property
    def run(self) -> Path:
        """Folder of the training."""
        return self.folder / "run"

    @property
    def final(self) -> Path:
        """Folder of the final training, if the loop ended with this iteration."""
        return self.folder / "final"

    @property
    def final_errors(self) -> Path:
        """Errors of the final and the last potential, when the final training is complete."""
        return self.folder / "final.json"

    @property
    def summary(self) -> Path:
        """Summary of the iteration."""
        return self.folder / "summary.json"


def iterations(folder: Path) -> Iterator[Iteration]:
    """Yield the iterations of a loop that have started, in order."""
    for path in sorted(folder.glob("iteration-[0-9]*")):
        if path.is_dir():
            yield Iteration(path)


def iteration(folder: Path, number: int) -> Iteration:
    """Return an iteration, whether it has started or not."""
    return Iteration(folder / f"iteration-{number:03d}")


def write_frames(path: Path, frames: Sequence[ase.Atoms]) -> None:
    """Write structures with positions and energies in full precision."""
    write_text(path, "".join(map(xyz_frame, frames)))


def read_frames(path: Path) -> list[ase.Atoms]:
    """Return the structures of a file of the loop, which may be empty."""
    if path.stat().st_size == 0:
        return []
    return list(ase.io.iread(path, ":", "extxyz"))


def write_json(path: Path, values: Any) -> None:
    """Write plain values."""
    write_text(path, strict_json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the values of a file written by `write_json`; `UserError` if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            "The file is damaged.", str(path), "Remove it: this step of the loop is repeated."
        ) from error
