"""Before and around a training: where it computes, whose files lie in its folder, what it saves."""

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
    """Check where and how to compute, join the other processes, and hold the run folder."""
    choice.check(config.run.engine, "run.engine")
    with gpu_restored():
        device = device_named(choice.device_for(config.run.engine, config.run.device))
        require_tracker(config.run.tracker)
        with world(device) as processes, locked(folder_of(config), processes):
            yield processes, device


def configuration_of(folder: Path, overrides: Sequence[str]) -> Config:
    """Return the configuration of a run, with other values where they are given."""
    if not (folder / CONFIG).is_file():
        ensemble = ensemble_of(folder)
        raise UserError(
            "There is no run in this folder.",
            str(folder),
            "A run folder holds config.yaml."
            if ensemble is None
            else f"It belongs to a member of an ensemble: `reann resume {ensemble}`.",
        )
    for override in overrides:
        if override.startswith("run.folder"):
            raise UserError(
                "A run stays in its folder.", f"command line: {override}", "Leave out run.folder."
            )
    return load_config(folder / CONFIG, overrides)


def settle_earlier(folder: Path, journal: Journal) -> None:
    """Finish what a process that was killed had begun with the files of an earlier run."""
    if settle(folder):
        journal.say(f"note      the earlier run in {folder} is in place again")


def settle_alone(folder: Path) -> None:
    """Do so before a run is continued; `UserError` where several processes would do it."""
    if n_processes() > 1:
        raise UserError(
            "A new run was stopped before its first checkpoint, and the earlier run is aside.",
            str(folder),
            f"Put it back in one process, without torchrun: `reann resume {folder}`.",
        )
    with locked(folder, World()):
        settle_earlier(folder, Journal(folder, speaks=True))


@contextmanager
def saved_or_restored(folder: Path, processes: World, journal: Journal) -> Iterator[None]:
    """Put an earlier run back when the new one ends before its first checkpoint."""
    try:
        yield
    except BaseException as error:
        if processes.leads and is_set_aside(folder):
            settle_earlier(folder, journal)
            raise
        if isinstance(error, KeyboardInterrupt) and has_checkpoint(folder):
            saved = "saved" if isinstance(error, Interrupted) else "stopped"
            journal.say(f"\n{saved}; go on with: reann resume {shlex.quote(str(folder))}")
            raise Interrupted from error
        raise
