"""The section `training`: loss, optimizer, schedule."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from reann.config.section import Count, Fraction, NonNegative, OfLabels, Positive, Section

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(time: str) -> float:
    """Return a time such as `90s`, `10min`, `2h` or `1d` in seconds.

    Raises
    ------
    ValueError
        If the text is not a time.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?) ?(s|min|h|d)", time.strip())
    value = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if value <= 0:
        raise ValueError(f"'{time}' is not a time: write 90s, 10min, 2h or 1d")
    return value


def _is_time(text: str) -> str:
    seconds(text)
    return text


class LossConfig(OfLabels):
    """Weights of the terms of the loss, all in units of the force scale."""

    __pydantic_extra__: dict[str, NonNegative] = Field(init=False)

    energy: NonNegative = 1.0
    """Weight of (dE)^2 / N."""
    forces: NonNegative = 1.0
    """Weight of the mean squared force component."""
    stress: NonNegative = 0.03
    """Weight of the mean squared virial component / N, in Å^-2."""
    charge_correction: NonNegative = 1.0
    """Weight of the squared difference between the total charge and the sum of the predicted
    charges before it is corrected, in units of 0.3 e and divided by N. It teaches the model the
    charges of fragments."""
    huber: Positive | None = None
    """Use a Huber loss, which is linear for errors larger than this number of force scales."""
    energy_emphasis: Positive = 20.0
    """Factor that multiplies the energy weight at the end of the training, and in all validation
    losses."""
    emphasis_start: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Fraction of the training after which the energy weight increases to `energy_emphasis`."""

    def weight(self, label: str) -> float:
        """Return the weight of a label; by default 1 for labels of installed packages."""
        value: float | None = self.of(label)
        return 1.0 if value is None else value


class CosineSchedule(Section):
    """Linear warm-up, then cosine decay to a fraction of the learning rate."""

    name: Literal["cosine"] = "cosine"
    final: Fraction = 0.01
    """Final learning rate as a fraction of the highest."""
    warmup: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"
    """Fraction of the training used for the warm-up; `auto`: 0.05, and up to 0.2 in short trainings
    to reach 60 steps."""


class PlateauSchedule(Section):
    """The learning rate is reduced if the validation loss does not improve."""

    name: Literal["plateau"] = "plateau"
    factor: Fraction = 0.5
    """Factor of each reduction."""
    patience: Count = 20
    """Epochs without improvement before a reduction."""
    minimum: Positive = 1e-5
    """The training stops when the learning rate falls below this value."""


class TrainingConfig(Section):
    """Settings of the optimization of the weights."""

    epochs: Count = 300
    """Number of passes over the training set."""
    time: Annotated[str, AfterValidator(_is_time)] | None = None
    """Instead of `epochs`: duration of the run, for example 90s, 10min or 2h, for all members of an
    ensemble together. The number of epochs is computed from the measured speed; `config.yaml`
    records it."""
    batch_size: Count | Literal["auto"] = "auto"
    """Structures per step; `auto`: about 256 atoms, at most 32 structures."""
    max_edges: Count | None = None
    """Maximum number of neighbor pairs in memory at once; larger batches are processed in parts,
    with the same result."""
    optimizer: Literal["soap", "adamw"] = "soap"
    """SOAP (Adam in the eigenbasis of the gradients) for the networks, AdamW for the rest; or
    AdamW for all."""
    learning_rate: Positive | Literal["auto"] = "auto"
    """Highest learning rate. `auto`: 3e-3; with equivariant messages 6e-3, or
    6e-3 sqrt(32 / channels) for more than 32 channels; a third of these with `--from`.
    `config.yaml` records the number. If the validation loss stays above five times its best value
    for three epochs and 300 steps, the training returns to the best weights with half the rate."""
    body_rate: NonNegative = 1.0
    """For fine-tuning (`--from`): factor that multiplies the learning rate of the recursion, which
    all heads share; 0 freezes it."""
    weight_decay: NonNegative = 0.3
    """Weight decay of the networks at the highest learning rate; it decreases with the learning
    rate."""
    clip: Positive | None = 10.0
    """Maximum norm of the gradient; larger gradients are scaled down."""
    schedule: Annotated[CosineSchedule | PlateauSchedule, Field(discriminator="name")] = (
        CosineSchedule()
    )
    """`{name: cosine}` or `{name: plateau}`."""
    ema: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"
    """Decay of the exponential moving average of the weights, which is saved; `auto`: 0.99, or
    0.999 for more than 5000 steps."""
    loss: LossConfig = LossConfig()
    """Weights of the terms of the loss."""
    precision: Literal["mixed", "float64"] = "mixed"
    """`mixed`: geometry and sums of energies in float64, networks in float32. `float64`: all."""
    patience: Count | None = None
    """Stop after this many epochs without improvement of the validation loss."""

    @property
    def rate(self) -> float:
        """Highest learning rate; `auto` must have been replaced before (`with_rate`)."""
        assert self.learning_rate != "auto", "learning_rate is still auto"
        return self.learning_rate

    @model_validator(mode="after")
    def _time_or_epochs(self) -> TrainingConfig:
        if self.time is not None and "epochs" in self.model_fields_set:
            raise ValueError("epochs and time are both set: remove one of them")
        return self
