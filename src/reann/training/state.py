"""Everything needed to go on exactly where a run stopped, in one file.

`last.ckpt.safetensors` holds the weights, their average, the best weights, the optimizer, and the
numbers of `Progress`. The order of the structures follows from (seed, epoch), so no random state
is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reann import checkpoint
from reann.errors import UserError
from reann.graph import LABELS
from reann.training.optim import Average

KIND = "training"
FILE = "last.ckpt.safetensors"


@dataclass
class Progress:
    """Where a run stands."""

    epoch: int = -1
    """Last finished epoch; epoch 0 is the validation before the first step."""
    step: int = 0
    """Finished steps of the epoch after it."""
    errors: list[list[float]] = field(default_factory=lambda: np.zeros((len(LABELS), 3)).tolist())
    """Sums of the training errors of these steps."""
    best_loss: float = math.inf
    best_epoch: int = -1
    rate_factor: float = 1.0
    """Of the learning rate, after plateaus and rollbacks."""
    stale: int = 0
    """Epochs since the plateau schedule saw an improvement."""
    plateau_loss: float = math.inf
    rollbacks: int = 0
    seconds: float = 0.0


@dataclass
class TrainingState:
    """The parts of a run that change while it trains."""

    model: nn.Module
    optimizer: torch.optim.AdamW
    average: Average
    best: dict[str, Tensor]
    """Averaged weights of the best epoch."""
    progress: Progress

    def save(self, folder: Path, identity: dict[str, Any]) -> None:
        """Write the checkpoint; the last one stays until the new one is complete."""
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

    def load(self, folder: Path, identity: dict[str, Any]) -> list[str]:
        """Take up the checkpoint of a folder and return what differs harmlessly.

        Raises
        ------
        UserError
            If it is damaged, or belongs to other data or another model.
        """
        header, tensors = checkpoint.read(folder / FILE, KIND)
        for name in ("model", "data", "split"):
            if header["identity"].get(name) != identity.get(name):
                raise UserError(
                    f"The {name} has changed since this run was started.",
                    str(folder),
                    "Restore it, or start a new run (with `--from` to keep the weights).",
                )

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.model.load_state_dict(part("model."))
        self.average.load(part("average."), header["updates"])
        self.best = part("best.")
        moments: dict[str, dict[str, Tensor]] = {}
        for key, value in part("optimizer.").items():
            kind, name = key.split(".", 1)
            moments.setdefault(name, {})[kind] = value
        for name, p in self.model.named_parameters():
            if name in moments:
                self.optimizer.state[p] = {
                    # A copy of its own: products of matrices depend on where in memory they lie.
                    kind: value.clone().to("cpu" if kind == "step" else p.device)
                    for kind, value in moments[name].items()
                }
        self.progress = Progress(**header["progress"])
        return [
            f"{name} was {header['identity'].get(name)}, is {value}: not bitwise the same run"
            for name, value in identity.items()
            if header["identity"].get(name) != value
        ]

    def keep_best(self) -> None:
        """Remember the averaged weights."""
        self.best = {name: value.clone() for name, value in self.average.state().items()}

    def roll_back(self) -> None:
        """Return to the best weights with half the learning rate and a fresh optimizer."""
        for name, live, average in zip(
            self.average.names, self.average.live, self.average.weights, strict=True
        ):
            live.data.copy_(self.best[name])
            average.copy_(self.best[name])
        self.optimizer.state.clear()
        self.progress.rate_factor *= 0.5
        self.progress.rollbacks += 1

    @contextmanager
    def best_weights(self) -> Iterator[nn.Module]:
        """Yield the model with its best weights, for a while."""
        live = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        for name, p in self.model.named_parameters():
            if name in self.best:
                p.data.copy_(self.best[name])
        try:
            yield self.model
        finally:
            for name, p in self.model.named_parameters():
                p.data.copy_(live[name])

    def _moments(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for name, p in self.model.named_parameters():
            if p in self.optimizer.state:
                yield name, self.optimizer.state[p]
