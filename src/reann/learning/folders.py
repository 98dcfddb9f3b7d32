"""The folder of a loop and of its iterations: what is in which file.

Each file is written completely or not at all, and is there when its step is done: `chosen.xyz`
when structures are chosen, `labels.xyz` when all calculations have ended, `errors.json` when the
last potential has been tested, `summary.json` when the iteration is over.
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
        """From 0, the first training."""
        return int(self.folder.name.rpartition("-")[2])

    @property
    def settings(self) -> Path:
        """The settings that it began with."""
        return self.folder / "settings.yaml"

    @property
    def explored(self) -> Path:
        """Folder: structures and JSON of each trajectory."""
        return self.folder / "explored"

    @property
    def chosen(self) -> Path:
        """Structures to label."""
        return self.folder / "chosen.xyz"

    @property
    def calculations(self) -> Path:
        """Folder: one file for each calculation."""
        return self.folder / "calculations"

    @property
    def labels(self) -> Path:
        """Structures with labels."""
        return self.folder / "labels.xyz"

    @property
    def errors(self) -> Path:
        """Errors of the last potential on the labels, and failed calculations."""
        return self.folder / "errors.json"

    @property
    def train(self) -> Path:
        """All structures to train on so far."""
        return self.folder / "train.xyz"

    @property
    def valid(self) -> Path:
        """All structures for validation so far."""
        return self.folder / "valid.xyz"

    @property
    def run(self) -> Path:
        """Folder of the training."""
        return self.folder / "run"

    @property
    def summary(self) -> Path:
        """What the iteration has given."""
        return self.folder / "summary.json"


def iterations(folder: Path) -> Iterator[Iteration]:
    """Yield the iterations of a loop that were begun, in order."""
    for path in sorted(folder.glob("iteration-[0-9]*")):
        if path.is_dir():
            yield Iteration(path)


def iteration(folder: Path, number: int) -> Iteration:
    """Return an iteration, whether it was begun or not."""
    return Iteration(folder / f"iteration-{number:03d}")


def write_frames(path: Path, frames: Sequence[ase.Atoms]) -> None:
    """Write structures with all digits of positions and energies."""
    write_text(path, "".join(map(xyz_frame, frames)))


def read_frames(path: Path) -> list[ase.Atoms]:
    """Return the structures of a file of the loop; none of an empty file."""
    if path.stat().st_size == 0:
        return []
    return list(ase.io.iread(path, ":", "extxyz"))


def write_json(path: Path, values: Any) -> None:
    """Write plain values."""
    write_text(path, strict_json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the values of a file that `write_json` has written; `UserError` if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            "The file is damaged.", str(path), "Remove it: this step of the loop is repeated."
        ) from error
