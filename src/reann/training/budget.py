"""The number of epochs that fit into `training.time`, from the measured speed.

The number is determined once and recorded as `training.epochs`, so that a resumed run and all
processes have the same schedule.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator

import numpy as np

from reann.checkpoint import read_header
from reann.config import Config
from reann.config.training import seconds
from reann.evaluation.metrics import Errors
from reann.graph import Graph
from reann.training.folder import folder_of, members_of
from reann.training.journal import Journal
from reann.training.loop import Trainer
from reann.training.member import Common, Start, trainer_for
from reann.training.soap import REFRESH
from reann.training.state import FILE, Progress

WARM_UP = 3
"""Steps before the measurement, which allocate memory."""
STEPS = 2 * REFRESH
"""Minimum number of measured steps; SOAP updates its eigenbasis every tenth step."""
SHARE, LONGEST = 0.05, 20.0
"""Maximum duration of the measurement: fraction of the time, and seconds."""


def with_epochs(
    config: Config, common: Common, start: Start, journal: Journal
) -> tuple[Config, dict[str, str]]:
    """Return the configuration with the number of epochs for `training.time`, and a record."""
    duration = config.training.time
    if duration is None:
        return config, {}
    first = members_of(config)[0]
    path, done = folder_of(first) / FILE, 0
    if path.exists():
        done = Progress.read(read_header(path)["progress"]).epoch
    copied = Start(copy.deepcopy(start.model), start.energies)
    trainer = trainer_for(first, common, copied, Journal(folder_of(first), writes=False))
    epochs = epochs_within(trainer, seconds(duration) / config.run.seeds)
    journal.write(f"time      {duration}: {epochs} epochs at the measured speed")
    changed = {"epochs": done + epochs, "time": None}
    training = config.training.model_copy(update=changed)
    record = {"training.time": f"{duration}, which is {epochs} epochs at the measured speed"}
    return config.model_copy(update={"training": training}), record


def epochs_within(trainer: Trainer, allowed: float) -> int:
    """Return the number of epochs, including validation, that fit into a time; at least one.

    The trainer takes steps for the measurement and cannot be used afterwards.
    """
    began = time.monotonic()
    trainer.validate()
    trainer.state.keep_best()
    trainer.state.progress.best_epoch = 0
    step = _seconds_per_step(trainer, min(SHARE * allowed, LONGEST))
    warm = time.monotonic()
    trainer.validate()
    validation = time.monotonic() - warm
    # The time includes the measurement and the validation of epoch 0.
    remaining = allowed - (time.monotonic() - began) - validation
    epochs = remaining / (len(trainer.train) * step + validation)
    # All processes use the result of the leading process.
    own_epochs = float(max(round(epochs), 1)) if trainer.world.leads else 0.0
    return int(trainer.world.add(np.array([own_epochs]))[0])


def _seconds_per_step(trainer: Trainer, least: float) -> float:
    errors, done, start = Errors(), -WARM_UP, time.monotonic()
    trainer.state.model.train()
    for batch, graphs in _endless(trainer):
        trainer.step(batch, graphs, errors)
        done += 1
        if done == 0:
            start = time.monotonic()
        is_enough = done >= STEPS and time.monotonic() - start >= least
        if trainer.world.any(trainer.world.leads and is_enough):
            break
    return (time.monotonic() - start) / done


def _endless(trainer: Trainer) -> Iterator[tuple[np.ndarray, list[Graph]]]:
    epoch = 1
    while True:
        yield from trainer.train.graphs(trainer.train.batches(trainer.seed, epoch))
        epoch += 1
