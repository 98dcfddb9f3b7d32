"""Optimizer, learning rate and averaged weights.

Rate and average are functions of the step, so that a resumed run follows the same path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reann.config import Config, CosineSchedule, TrainingConfig
from reann.model import Reann
from reann.model.roles import Role, roles
from reann.training.soap import Soap

LONG_RUN = 5000
"""Steps above which the average of the weights is slower."""
WARMUP, LARGEST_WARMUP = 0.05, 0.2
FEWEST_WARMUP_STEPS = 60
"""Steps with a rising rate for `auto`, as far as they are no larger part of a training."""
BODY = "recursion."
"""Beginning of the names of parameters that all heads share."""
RATE, EQUIVARIANT_RATE, OF_CHANNELS = 3e-3, 6e-3, 32
"""Learning rates for `auto`: with scalar or directional messages, and with equivariant ones of so
many channels or fewer. Steps of one size move a wider model farther: the rate falls with the root
of the channels."""


def with_rate(config: Config) -> Config:
    """Return the configuration with a number in place of the learning rate `auto`."""
    if config.training.learning_rate != "auto":
        return config
    rate = RATE
    if config.model.messages == "equivariant":
        wider = max(config.model.channels / OF_CHANNELS, 1.0)
        rate = round(EQUIVARIANT_RATE / math.sqrt(wider), 4)
    training = config.training.model_copy(update={"learning_rate": rate})
    return config.model_copy(update={"training": training})


def optimizer_for(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Return SOAP or AdamW, which move every trained parameter as its role says."""
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
    # On CPUs one kernel for all weights takes a fifth of the time of one for each.
    fused = next(model.parameters()).device.type == "cpu"
    kind = Soap if config.optimizer == "soap" else torch.optim.AdamW
    return kind(settings, lr=config.rate, fused=fused)


def freeze_body(model: Reann, config: TrainingConfig) -> None:
    """Leave the recursion as it is where its rate is zero."""
    model.recursion.requires_grad_(config.body_rate > 0.0)


def set_rate(optimizer: torch.optim.AdamW, config: TrainingConfig, factor: float) -> None:
    """Set a fraction of the rate, and with it of the decay, where there is one.

    Each step moves a weight by a part of the rate, however small its gradient: a decay in constant
    proportion would hold the weights off the best fit to the end. So it ends before the steps do.
    """
    for group in optimizer.param_groups:
        group["lr"] = factor * group["rate_factor"] * config.rate
        if group["decays"]:
            group["weight_decay"] = factor * config.weight_decay


def warmup_of(schedule: CosineSchedule, steps: int) -> float:
    """Return the part of a training with a rising rate.

    SOAP knows its eigenbasis only after some tens of steps, before which a step at the full rate
    goes in directions that are partly chance.
    """
    if schedule.warmup != "auto":
        return schedule.warmup
    return max(WARMUP, min(FEWEST_WARMUP_STEPS / steps, LARGEST_WARMUP))


def cosine_rate(schedule: CosineSchedule, progress: float, steps: int) -> float:
    """Return the factor of the learning rate at a progress between 0 and 1 of so many steps."""
    warmup = warmup_of(schedule, steps)
    if progress < warmup:
        return max(progress / warmup, 0.01)
    x = (progress - warmup) / (1.0 - warmup)
    return schedule.final + (1.0 - schedule.final) * 0.5 * (1.0 + math.cos(math.pi * x))


class Average:
    """Exponential moving average of the trained weights.

    The decay after k updates is min(decay, (k + 1) / (k + 10)): the start is forgotten quickly.
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
        """Take one step towards the live weights."""
        decay = min(self.decay, (self.updates + 1) / (self.updates + 10))
        for average, p in zip(self.weights, self.live, strict=True):
            average.lerp_(p.detach(), 1.0 - decay)
        self.updates += 1

    def restart(self) -> None:
        """Take over the live weights."""
        for average, p in zip(self.weights, self.live, strict=True):
            average.copy_(p.detach())

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the averaged weights, for a validation."""
        live = [p.detach().clone() for p in self.live]
        for p, average in zip(self.live, self.weights, strict=True):
            p.data.copy_(average)
        try:
            yield
        finally:
            for p, own in zip(self.live, live, strict=True):
                p.data.copy_(own)

    def state(self) -> dict[str, Tensor]:
        """Return the averaged weights by name."""
        return dict(zip(self.names, self.weights, strict=True))

    def load(self, state: dict[str, Tensor], updates: int) -> None:
        """Take up averaged weights by name."""
        for name, average in zip(self.names, self.weights, strict=True):
            average.copy_(state[name])
        self.updates = updates
