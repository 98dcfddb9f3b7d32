"""The final potential of a loop: trained from scratch on all labels.

Each training of a loop starts from the previous potential, which keeps traces of the time when
there were fewer labels. A training from scratch on the same labels gives smaller errors.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from reann.errors import counted
from reann.evaluation.as_labeled import as_labeled
from reann.interfaces.ase import Calculator
from reann.learning.assess import errors_on
from reann.learning.data import extend, model_of
from reann.learning.folders import Iteration, read_frames, read_json, write_json
from reann.learning.settings import LoopConfig
from reann.learning.summary import Summary
from reann.learning.train import final_training, train_final, training_of
from reann.model_file import MODEL
from reann.potential import load
from reann.terminal import print_line

FORCES = "forces_rmse_meV_per_A"


@dataclass(frozen=True)
class Final:
    """The final potential and its errors beside those of the last potential of the loop."""

    iteration: Iteration
    """Last iteration of the loop, with the final training."""
    last: Path
    """File of the last potential of the loop."""
    errors: Summary
    """Errors of both on the validation structures, by `final` and `last`, and `train_seconds`."""

    @property
    def is_better(self) -> bool:
        """Whether its forces have a smaller error in validation than those of the last one."""
        return self.errors["final"][FORCES] <= self.errors["last"][FORCES]

    @property
    def model(self) -> Path:
        """File of the potential with the smaller error."""
        return self.iteration.final / MODEL if self.is_better else self.last


def is_needed(now: Iteration, trained: Iteration, settings: LoopConfig) -> bool:
    """Return whether the final training differs from that of the last potential.

    `now` is the last iteration, `trained` the last one with a training.
    """
    if settings.final is False:
        return False
    from_scratch = trained.number == 0 or settings.start_from == "nothing"
    has_all = now.number == trained.number
    same = training_of(trained, settings) == final_training(settings)
    return not (from_scratch and has_all and same)


def trained_from_scratch(
    now: Iteration, before: Iteration | None, trained: Iteration, settings: LoopConfig
) -> Final:
    """Train the final potential unless this is done, and compare it with the last potential."""
    last = model_of(trained)
    if not now.final_errors.exists():
        if trained.number != now.number and not now.final.exists():
            extend(now, before, settings)  # with the labels that have only tested the last one
        n_train, n_valid = (len(read_frames(file)) for file in (now.train, now.valid))
        print_line("\n--- final training, from scratch")
        print_line(f"data      {counted(n_train, 'structure')}, {n_valid} more for validation")
        begun = time.perf_counter()
        train_final(now, settings)
        seconds = time.perf_counter() - begun
        write_json(now.final_errors, _compared(now, last, settings, seconds))
    return Final(now, last, read_json(now.final_errors))


def _compared(now: Iteration, last: Path, settings: LoopConfig, seconds: float) -> Summary:
    """Return the errors of the final and the last potential on the validation structures."""
    valid = read_frames(now.valid)
    errors = {
        name: errors_on(valid, Calculator(as_labeled(load(file)), engine=settings.run.engine))
        for name, file in (("last", last), ("final", now.final / MODEL))
    }
    return {**errors, "train_seconds": round(seconds, 1)}
