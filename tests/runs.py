"""Real runs in processes of their own: start, kill, compare."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reann import checkpoint
from reann.config import Config
from reann.training.journal import read_log
from reann.training.loop import Trainer
from reann.training.state import FILE, KIND
from reann.training.validation import Validation

DATA = Path(__file__).parent / "data" / "ethanol.xyz"
NETWORK = {"hidden": [6, 6]}
MODEL = {
    "preset": "density",
    "cutoff": 3.0,
    "n_radial": 3,
    "l_max": 1,
    "n_recursions": 1,
    "readout": NETWORK,
    "update": NETWORK,
}
SMALL = {
    "data.train": str(DATA),
    "data.valid": "0.2",
    "model.preset": "density",
    "model.cutoff": "3.0",
    "model.n_radial": "3",
    "model.n_recursions": "1",
    "model.readout": "{hidden: [6, 6]}",
    "model.update": "{hidden: [6, 6]}",
    "training.batch_size": "4",
    "run.threads": "1",
}


def write_config(folder: Path) -> Path:
    """Write a configuration of a small run and return its path."""
    file = folder / "small.yaml"
    file.write_text(f"data: {{train: {DATA}}}\n")
    return file


def command(folder: Path, run: Path, changes: dict[str, str]) -> list[str]:
    """Return the arguments of reann that train a small potential in the folder `run`."""
    file = write_config(folder)
    settings = SMALL | changes | {"run.folder": str(run)}
    return ["train", str(file), *(f"{name}={value}" for name, value in settings.items())]


def environment() -> dict[str, str]:
    """Return an environment for a process with one thread."""
    return os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def log_without_time(run: Path) -> list[dict[str, float]]:
    """Return the rows of log.csv; NaN becomes None so that rows compare."""
    return [
        {k: (v if math.isfinite(v) else None) for k, v in row.items() if k != "seconds"}
        for row in read_log(run / "log.csv")
    ]


def checkpoint_tensors(run: Path) -> dict[str, torch.Tensor]:
    """Return weights, averages and optimizer moments of the last checkpoint."""
    return checkpoint.read(run / FILE, KIND)[1]


def assert_same_run(one: Path, other: Path) -> None:
    """Two runs agree bitwise: every row of the log, every tensor of checkpoint and potential."""
    assert log_without_time(one) == log_without_time(other)
    pairs = [
        (checkpoint.read(one / name, kind)[1], checkpoint.read(other / name, kind)[1])
        for name, kind in ((FILE, KIND), ("model.reann", "potential"))
    ]
    for first, second in pairs:
        assert first.keys() == second.keys()
        for name, tensor in first.items():
            assert torch.equal(tensor, second[name]), name


def small(folder: Path, data: Path = DATA, **changes: Any) -> Config:
    """Return a configuration; `changes` are of the section that has a field of that name."""
    sections: dict[str, dict[str, Any]] = {
        "data": {"train": str(data), "valid": 0.2, "cache": folder.parent / "cache"},
        "model": dict(MODEL),
        "training": {"epochs": 3, "batch_size": 4},
        "run": {"folder": folder, "threads": 1},
    }
    for name, value in changes.items():
        (section,) = [s for s, kind in Config.model_fields.items() if _has(kind.annotation, name)]
        sections[section][name] = value
    return Config(**sections)


def _has(section: Any, name: str) -> bool:
    return name in section.model_fields


class StoppedError(Exception):
    """The power went off."""


def fixed_loss(monkeypatch, values: Callable[[int], float]) -> None:
    """Let the validation loss of an epoch be what `values` says."""
    validate = Trainer.validate

    def pretended(self: Trainer) -> Validation:
        loss = np.array([values(self.state.progress.epoch + 1)])
        return validate(self)._replace(losses=loss, misfits=loss)

    monkeypatch.setattr(Trainer, "validate", pretended)


def stop_in(monkeypatch, epoch: int, seed: int | None = None) -> None:
    """Let the run end abruptly at the validation of an epoch, of one member of an ensemble."""
    validate = Trainer.validate

    def stopping(self: Trainer):
        if self.state.progress.epoch + 1 == epoch and seed in (None, self.seed):
            raise StoppedError
        return validate(self)

    monkeypatch.setattr(Trainer, "validate", stopping)
