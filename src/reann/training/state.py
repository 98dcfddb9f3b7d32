"""The checkpoint of a run, from which it continues exactly where it stopped.

`last.ckpt.safetensors` contains the weights, their average, the best weights, the optimizer state
and `Progress`. The order of the structures follows from (seed, epoch), so no random state is
needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reann import checkpoint
from reann.config import CosineSchedule, TrainingConfig
from reann.errors import DamagedError, UserError, listed
from reann.evaluation.metrics import Errors
from reann.model import Reann
from reann.model_file import MODEL
from reann.training.optim import Average

KIND = "training"
FILE = "last.ckpt.safetensors"


@contextmanager
def damage_named(folder: Path) -> Iterator[None]:
    """Add advice to the error of a damaged checkpoint."""
    try:
        yield
    except DamagedError as error:
        raise UserError(
            f"The checkpoint of this run is damaged. {error.what}",
            error.where,
            f"Restore it from a backup, or start a new run: `reann train CONFIG --from"
            f" {folder / MODEL}` starts from the best weights.",
        ) from error


@dataclass
class Progress:
    """Progress of a run."""

    epoch: int = -1
    """Last finished epoch; epoch 0 is the validation before the first step."""
    step: int = 0
    """Finished steps of the following epoch."""
    start: int = 0
    """Epoch at which the current schedule starts."""
    errors: list[list[float]] = field(default_factory=lambda: Errors().table().tolist())
    """Sums of the training errors of these steps."""
    best_loss: float = math.inf
    """Validation loss of the best epoch, without the structures with the largest losses."""
    lowest_loss: float = math.inf
    """Lowest validation loss of all structures in the current schedule."""
    best_epoch: int = -1
    best_errors: dict[str, float] = field(default_factory=dict)
    """Validation errors of the best epoch, such as `energy_rmse_meV_per_atom`."""
    rate_factor: float = 1.0
    """Factor of the learning rate after plateaus and rollbacks."""
    stale: int = 0
    """Epochs since the last improvement, for the plateau schedule."""
    plateau_loss: float = math.inf
    rollbacks: int = 0
    high: int = 0
    """Epochs in a row with a validation loss far above the best one."""
    seconds: float = 0.0

    @classmethod
    def read(cls, header: Mapping[str, Any]) -> Progress:
        """Return the progress in a header, in which null stands for values that are not finite."""
        values: dict[str, Any] = {n: math.inf if x is None else x for n, x in header.items()}
        progress = cls(**values)
        # A sum that is not finite remains so.
        progress.errors = np.array(progress.errors, dtype=np.float64).tolist()
        return progress


def is_over(config: TrainingConfig, progress: Progress) -> bool:
    """Return whether a run is finished: last epoch, no improvement, or minimum learning rate."""
    schedule, patience = config.schedule, config.patience
    since = max(progress.best_epoch, progress.start)
    return (
        progress.epoch >= config.epochs
        or (patience is not None and progress.epoch - since >= patience)
        or (
            not isinstance(schedule, CosineSchedule)
            and config.rate * progress.rate_factor < schedule.minimum
        )
    )


@dataclass
class TrainingState:
    """The parts of a run that change during training."""

    model: Reann
    optimizer: torch.optim.AdamW
    average: Average
    best: dict[str, Tensor]
    """Averaged weights of the best epoch."""
    progress: Progress

    def save(self, folder: Path, identity: dict[str, Any]) -> None:
        """Write the checkpoint; the previous one is kept until the new one is complete."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for name, moments in self._moments():
            tensors |= {f"optimizer.{kind}.{name}": value for kind, value in moments.items()}
        header = {
            "progress": asdict(self.progress),
            "updates": self.average.updates,
            "identity": identity,
        }
        checkpoint.write(folder / FILE, KIND, header, tensors)

    def load(self, folder: Path) -> dict[str, Any]:
        """Load the checkpoint of a folder and return the identity recorded with it.

        Raises
        ------
        UserError
            If it is damaged or belongs to another model.
        """
        with damage_named(folder):
            header, tensors = checkpoint.read(folder / FILE, KIND)

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        try:
            self.model.load_state_dict(part("model."))
        except RuntimeError as error:
            raise UserError(
                "The checkpoint belongs to a model with other settings.",
                str(folder / FILE),
                "Restore the section model of config.yaml, or start a new run with `--from`.",
            ) from error
        self.average.load(part("average."), header["updates"])
        self.best = part("best.")
        moments: dict[str, dict[str, Tensor]] = {}
        for key, value in part("optimizer.").items():
            kind, name = key.split(".", 1)
            moments.setdefault(name, {})[kind] = value
        for name, p in self.model.named_parameters():
            if name in moments:
                self.optimizer.state[p] = {
                    # Copied, as the rounding of matrix products depends on the memory alignment.
                    kind: value.clone().to("cpu" if kind == "step" else p.device)
                    for kind, value in moments[name].items()
                }
        self.progress = Progress.read(header["progress"])
        self._require_finite(folder)
        return header["identity"]

    def keep_best(self) -> None:
        """Store the averaged weights as the best ones."""
        self.best = {name: value.clone() for name, value in self.average.state().items()}

    def roll_back(self) -> None:
        """Return to the best weights with half the learning rate and a fresh optimizer."""
        self._return_to_best()
        self.optimizer.state.clear()
        self.progress.rate_factor *= 0.5
        self.progress.rollbacks += 1

    def calm(self) -> None:
        """Return to the best weights with half the learning rate.

        The optimizer keeps its moments: a fresh SOAP would need another warm-up.
        """
        self._return_to_best()
        self.progress.rate_factor *= 0.5
        self.progress.rollbacks += 1
        self.progress.high = 0

    def begin_schedule(self) -> None:
        """Start a new schedule from the best weights, like a warm start."""
        self._return_to_best()
        self.optimizer.state.clear()
        self.average.updates = 0
        old = self.progress
        self.progress = Progress(
            epoch=old.epoch,
            start=old.epoch,
            best_loss=old.best_loss,
            best_epoch=old.best_epoch,
            best_errors=old.best_errors,
            seconds=old.seconds,
        )

    def _return_to_best(self) -> None:
        for name, live, average in zip(
            self.average.names, self.average.live, self.average.weights, strict=True
        ):
            live.data.copy_(self.best[name])
            average.copy_(self.best[name])

    @contextmanager
    def best_weights(self) -> Iterator[Reann]:
        """Put the best weights into the model temporarily."""
        live = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        for name, p in self.model.named_parameters():
            if name in self.best:
                p.data.copy_(self.best[name])
        try:
            yield self.model
        finally:
            for name, p in self.model.named_parameters():
                p.data.copy_(live[name])

    def _require_finite(self, folder: Path) -> None:
        # The current weights may be infinite for a step, until the run is rolled back.
        names = [f"best.{name}" for name, value in self.best.items() if not value.isfinite().all()]
        progress = self.progress
        numbers = [progress.rate_factor, progress.seconds]
        if progress.best_epoch >= 0:
            numbers.append(progress.best_loss)
        if not all(map(math.isfinite, numbers)):
            names.append("progress")
        if names:
            raise UserError(
                f"The checkpoint contains values that are not finite: {listed(names)}.",
                str(folder / FILE),
                f"Start a new run from the potential: `--from {folder / 'model.reann'}`.",
            )

    def _moments(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for name, p in self.model.named_parameters():
            if p in self.optimizer.state:
                yield name, self.optimizer.state[p]
