"""Preparation of a training: device and processes, lock of the folder, earlier runs in it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from reann.backends import choice
from reann.config import Config
from reann.config.file import load_config
from reann.device import device_named, gpu_restored
from reann.errors import UserError
from reann.training.aside import is_set_aside, settle
from reann.training.distributed import World, n_processes, world
from reann.training.folder import CONFIG, ensemble_of, folder_of, has_checkpoint, locked
from reann.training.journal import Journal
from reann.training.signals import Interrupted
from reann.training.trackers import require_tracker


@contextmanager
def place_of(config: Config) -> Iterator[tuple[World, torch.device]]:
    """Check backend and device, join the other processes, and lock the run folder."""
    choice.check(config.run.engine, "run.engine")
    with gpu_restored():
        device = device_named(choice.device_for(config.run.engine, config.run.device))
        require_tracker(config.run.tracker)
        with world(device) as processes, locked(folder_of(config), processes):
            yield processes, device


def configuration_of(folder: Path, overrides: Sequence[str]) -> Config:
    """Return the configuration of a run with overrides."""
    if not (folder / CONFIG).is_file():
        ensemble = ensemble_of(folder)
        raise UserError(
            "There is no run in this folder.",
            str(folder),
            "A run folder contains config.yaml."
            if ensemble is None
            else f"It belongs to a member of an ensemble: `reann resume {ensemble}`.",
        )
    for override in overrides:
        if override.startswith("run.folder"):
            raise UserError(
                "The folder of a run cannot be changed.",
                f"command line: {override}",
                "Remove run.folder.",
            )
    return load_config(folder / CONFIG, overrides)


def settle_earlier(folder: Path, journal: Journal) -> None:
    """Restore or remove the files of an earlier run after a process was killed."""
    if settle(folder):
        journal.write(f"note      the earlier run in {folder} has been restored")


def restore_earlier(folder: Path) -> None:
    """Restore an earlier run before it is resumed; raises `UserError` with several processes."""
    if n_processes() > 1:
        raise UserError(
            "A new run was stopped before its first checkpoint; the earlier run must be restored.",
            str(folder),
            f"Restore it with a single process, without torchrun: `reann resume {folder}`.",
        )
    with locked(folder, World()):
        settle_earlier(folder, Journal(folder, writes=True))


@contextmanager
def saved_or_restored(folder: Path, processes: World, journal: Journal) -> Iterator[None]:
    """Restore an earlier run if the new one ends before its first checkpoint."""
    try:
        yield
    except BaseException as error:
        if processes.leads and is_set_aside(folder):
            settle_earlier(folder, journal)
            raise
        if isinstance(error, KeyboardInterrupt) and has_checkpoint(folder):
            saved = "saved" if isinstance(error, Interrupted) else "stopped"
            journal.write(f"\n{saved}; continue with: reann resume {shlex.quote(str(folder))}")
            raise Interrupted from error
        raise
