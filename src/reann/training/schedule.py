"""The course of the learning rate.

With a cosine it is a function of the step, so that a resumed run is reproducible.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from reann.config import CosineSchedule, TrainingConfig
from reann.training.state import Progress, TrainingState

WARMUP, LARGEST_WARMUP = 0.05, 0.2
FEWEST_WARMUP_STEPS = 60
"""Minimum number of warm-up steps for `auto`, limited by `LARGEST_WARMUP`."""


@dataclass
class Schedule:
    """Fraction of the highest learning rate, and remaining time, of a training."""

    config: TrainingConfig
    state: TrainingState
    steps_per_epoch: int
    steps_done: int = 0
    """Steps since `begin_steps`."""
    started: float = math.nan
    """Time of `begin_steps`, s."""

    @property
    def progress(self) -> Progress:
        """Progress of the training, of which a new schedule begins a new one."""
        return self.state.progress

    @property
    def steps(self) -> int:
        """Number of steps from the beginning to the end of the schedule."""
        return (self.config.epochs - self.progress.start) * self.steps_per_epoch

    @property
    def position(self) -> float:
        """Position in the schedule, from 0 to 1."""
        epochs = max(self.progress.epoch, 0) - self.progress.start
        return (epochs * self.steps_per_epoch + self.progress.step) / self.steps

    @property
    def factor(self) -> float:
        """The learning rate over the highest one."""
        factor, schedule = self.progress.rate_factor, self.config.schedule
        if isinstance(schedule, CosineSchedule):
            factor *= cosine_rate(schedule, self.position, self.steps)
        return factor

    def follow_plateau(self, valid_loss: float) -> None:
        """Lower the rate if the validation loss has not decreased for some epochs."""
        schedule, progress = self.config.schedule, self.progress
        if isinstance(schedule, CosineSchedule):
            return
        progress.stale += 1
        if valid_loss < progress.plateau_loss:
            progress.plateau_loss, progress.stale = valid_loss, 0
        elif progress.stale >= schedule.patience:
            progress.rate_factor *= schedule.factor
            progress.stale = 0

    def begin_steps(self) -> None:
        """Start the clock of the remaining time."""
        self.started = time.monotonic()

    @property
    def remaining(self) -> float | None:
        """Seconds until the last epoch, at the speed since the first step; None before it."""
        if not self.steps_done:
            return None
        progress = self.progress
        left = (self.config.epochs - progress.epoch) * self.steps_per_epoch - progress.step
        return left * (time.monotonic() - self.started) / self.steps_done


def warmup_of(schedule: CosineSchedule, steps: int) -> float:
    """Return the fraction of a training used for the warm-up.

    SOAP determines its eigenbasis within some tens of steps, during which the directions of its
    steps are partly random.
    """
    if schedule.warmup != "auto":
        return schedule.warmup
    return max(WARMUP, min(FEWEST_WARMUP_STEPS / steps, LARGEST_WARMUP))


def cosine_rate(schedule: CosineSchedule, progress: float, steps: int) -> float:
    """Return the factor of the learning rate at a progress between 0 and 1."""
    warmup = warmup_of(schedule, steps)
    if progress < warmup:
        return max(progress / warmup, 0.01)
    x = (progress - warmup) / (1.0 - warmup)
    return schedule.final + (1.0 - schedule.final) * 0.5 * (1.0 + math.cos(math.pi * x))
