"""The folder of a run: its files, its lock, and what a continued run must have in common.

`config.yaml` (resolved), `start.reann` (of a warm start), `split.json`, `log.csv`, `model.reann`
(best), `last.ckpt.safetensors` (to continue from) and `report.html`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from reann.checkpoint import open_no_link
from reann.config import Config
from reann.errors import UserError
from reann.native import choice
from reann.training.distributed import World
from reann.training.journal import read_log
from reann.training.setup import SPLIT, Parts
from reann.training.state import FILE

CONFIG, START, MODEL = "config.yaml", "start.reann", "model.reann"
REPORT, LOG = "report.html", "log.csv"


def folder_of(config: Config) -> Path:
    """Return the configured folder, or `runs/` and the name of the first data file."""
    if config.run.folder is not None:
        return config.run.folder
    files = config.data.train
    name = Path(files if isinstance(files, str) else files[0]).name
    stem = name.split(".")[0].replace("*", "").strip("-_")
    return Path("runs") / (stem or "run")


def refuse_another_run(folder: Path) -> None:
    """Raise `UserError` when the folder already holds a run."""
    if (folder / CONFIG).exists():
        raise UserError(
            "There already is a run in this folder.",
            str(folder),
            f"Continue it with `reann resume {folder}`, choose another run.folder, "
            "or give --overwrite.",
        )


def clear(folder: Path) -> None:
    """Remove an earlier run, or what is left of one that never began."""
    for name in (CONFIG, START, MODEL, SPLIT, REPORT, FILE, LOG):
        for file in (folder / name, *folder.glob(f"seed-*/{name}")):
            file.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Create the folder, without temporary files of a process that was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, processes: World) -> Iterator[None]:
    """Hold the folder's lock, which the system frees even when the process is killed."""
    if not processes.leads:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(open_no_link(folder / ".lock", os.O_RDWR), "w")
    except OSError as error:
        raise UserError(
            f"The run folder cannot be written ({error.strerror}).",
            str(folder),
            "Choose another run.folder.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                "Another process is training in this folder.",
                str(folder),
                "Wait for it, stop it, or choose another run.folder.",
            ) from error
        yield


def identity(config: Config, parts: Parts, processes: World, engine: str) -> dict[str, Any]:
    """Return what must be the same, and what should be, for a run to go on."""
    split = [part.indices.tolist() for part in (parts.train, parts.valid)]
    return {
        "model": _digest(config.model_dump(mode="json", include={"model", "training"})),
        "data": [digest for _, digest in parts.train.dataset.files],
        "split": _digest(split),
        "device": config.run.device,
        "engine": choice.identity(engine),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "processes": processes.size,
        "machine": platform.machine(),
        "torch": torch.__version__.split("+")[0],
    }


def errors_of(folder: Path, epoch: int) -> dict[str, float]:
    """Return the validation errors that `log.csv` has for an epoch."""
    rows = [row for row in read_log(folder / LOG) if row["epoch"] == epoch]
    return {
        name.removeprefix("valid_"): value
        for row in rows[-1:]
        for name, value in row.items()
        if name.startswith("valid_") and "rmse" in name
    }


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
