"""Optimizer, with the learning rate of each part, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reann.config import Config, TrainingConfig
from reann.model import Reann
from reann.model.roles import Role, roles
from reann.training.soap import Soap

LONG_RUN = 5000
"""Number of steps above which the averaging time is longer."""
BODY = "recursion."
"""Beginning of the names of parameters that all heads share."""
RATE, EQUIVARIANT_RATE, OF_CHANNELS = 3e-3, 6e-3, 32
"""Learning rates for `auto`: with scalar or directional messages, and with equivariant ones of so
many channels or fewer. Steps of one size move a wider model farther: the rate falls with the root
of the channels."""
FINE_TUNING = 1.0 / 3.0
"""Factor of the learning rate `auto` where training starts from a potential."""


def with_rate(config: Config, *, warm_start: bool = False) -> Config:
    """Return the configuration with the learning rate `auto` replaced by a number."""
    if config.training.learning_rate != "auto":
        return config
    rate = RATE
    if config.model.messages == "equivariant":
        wider = max(config.model.channels / OF_CHANNELS, 1.0)
        rate = EQUIVARIANT_RATE / math.sqrt(wider)
    rate = round(FINE_TUNING * rate if warm_start else rate, 4)
    training = config.training.model_copy(update={"learning_rate": rate})
    return config.model_copy(update={"training": training})


def optimizer_for(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Return SOAP or AdamW, with parameter groups according to the roles of the parameters."""
    groups: dict[tuple[Role, float], list[nn.Parameter]] = {}
    role = roles(model)
    for name, p in model.named_parameters():
        if p.requires_grad:
            factor = config.body_rate if name.startswith(BODY) else 1.0
            groups.setdefault((role[name], factor), []).append(p)
    settings = [
        {
            "params": groups[role, factor],
            "weight_decay": config.weight_decay if role.decays else 0.0,
            "rate_factor": factor,
            **role._asdict(),
        }
        for role, factor in sorted(groups, reverse=True)
    ]
    # On CPUs one fused kernel for all weights takes a fifth of the time.
    fused = next(model.parameters()).device.type == "cpu"
    kind = Soap if config.optimizer == "soap" else torch.optim.AdamW
    return kind(settings, lr=config.rate, fused=fused)


def freeze_body(model: Reann, config: TrainingConfig) -> None:
    """Leave the recursion as it is where its rate is zero."""
    model.recursion.requires_grad_(config.body_rate > 0.0)


def set_rate(optimizer: torch.optim.AdamW, config: TrainingConfig, factor: float) -> None:
    """Set the learning rate to a fraction of its maximum, and scale the weight decay likewise.

    The size of Adam's steps does not depend on that of the gradient: a constant weight decay would
    keep the weights away from the best fit until the end. Therefore it vanishes with the rate.
    """
    for group in optimizer.param_groups:
        group["lr"] = factor * group["rate_factor"] * config.rate
        if group["decays"]:
            group["weight_decay"] = factor * config.weight_decay


class Average:
    """Exponential moving average of the trained weights.

    The decay after k updates is min(decay, (k + 1) / (k + 10)), so the initial weights decay fast.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.names = [name for name, p in model.named_parameters() if p.requires_grad]
        self.live = [p for p in model.parameters() if p.requires_grad]
        self.weights = [p.detach().clone() for p in self.live]

    @staticmethod
    def decay_for(ema: float | str, steps: int) -> float:
        """Return the configured decay; `auto` depends on the length of the run."""
        return (0.999 if steps > LONG_RUN else 0.99) if isinstance(ema, str) else ema

    def update(self) -> None:
        """Update the average with the current weights."""
        decay = min(self.decay, (self.updates + 1) / (self.updates + 10))
        for average, p in zip(self.weights, self.live, strict=True):
            average.lerp_(p.detach(), 1.0 - decay)
        self.updates += 1

    def restart(self) -> None:
        """Reset the average to the current weights."""
        for average, p in zip(self.weights, self.live, strict=True):
            average.copy_(p.detach())

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averaged weights into the model temporarily."""
        live = [p.detach().clone() for p in self.live]
        for p, average in zip(self.live, self.weights, strict=True):
            p.data.copy_(average)
        try:
            yield
        finally:
            for p, value in zip(self.live, live, strict=True):
                p.data.copy_(value)

    def state(self) -> dict[str, Tensor]:
        """Return the averaged weights by name."""
        return dict(zip(self.names, self.weights, strict=True))

    def load(self, state: dict[str, Tensor], updates: int) -> None:
        """Load averaged weights by name."""
        for name, average in zip(self.names, self.weights, strict=True):
            average.copy_(state[name])
        self.updates = updates
