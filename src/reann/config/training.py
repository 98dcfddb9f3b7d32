"""The section `training`: loss, optimizer, schedule."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from reann.config.section import Count, Fraction, NonNegative, OfLabels, Positive, Section

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(time: str) -> float:
    """Return a time such as `90s`, `10min`, `2h` or `1d` in seconds; `ValueError` if it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?) ?(s|min|h|d)", time.strip())
    value = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if value <= 0:
        raise ValueError(f"'{time}' is not a time: write 90s, 10min, 2h or 1d")
    return value


def _is_time(text: str) -> str:
    seconds(text)
    return text


class LossConfig(OfLabels):
    """Weights of the parts of the loss, all in units of the force scale."""

    __pydantic_extra__: dict[str, NonNegative] = Field(init=False)

    energy: NonNegative = 1.0
    """Weight of (dE)^2 / N."""
    forces: NonNegative = 1.0
    """Weight of the mean squared force component."""
    stress: NonNegative = 0.03
    """Weight of the mean squared virial component / N, in Å^-2."""
    huber: Positive | None = None
    """Residuals beyond this many force scales count linearly."""
    energy_emphasis: Positive = 20.0
    """Factor of the energy weight at the end of the training, and in every validation loss."""
    emphasis_start: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Progress at which the energy emphasis begins to grow."""

    def weight(self, label: str) -> float:
        """Return the weight of a label; of those that packages add it is one unless given."""
        given: float | None = self.of(label)
        return 1.0 if given is None else given


class CosineSchedule(Section):
    """Warm-up, then a cosine down to a fraction of the rate over the stated epochs."""

    name: Literal["cosine"] = "cosine"
    final: Fraction = 0.01
    """Fraction of the learning rate at the end."""
    warmup: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"
    """Part of the training with a rising rate; `auto`: 0.05, in short trainings up to 0.2 until it
    has 60 steps."""


class PlateauSchedule(Section):
    """The rate falls when the validation loss has not."""

    name: Literal["plateau"] = "plateau"
    factor: Fraction = 0.5
    """Factor of each fall."""
    patience: Count = 20
    """Epochs without improvement before a fall."""
    minimum: Positive = 1e-5
    """Training stops when the rate has fallen below."""


class TrainingConfig(Section):
    """How the weights are found."""

    epochs: Count = 300
    """Passes over the training structures."""
    time: Annotated[str, AfterValidator(_is_time)] | None = None
    """Instead of `epochs`: how long the run lasts, such as 90s, 10min or 2h, all members of an
    ensemble together. The speed is measured once; `config.yaml` records the number of epochs."""
    batch_size: Count | Literal["auto"] = "auto"
    """Structures per step; `auto`: about 256 atoms, at most 32 structures."""
    max_edges: Count | None = None
    """Most neighbor pairs in memory at once: larger batches are split, the result is the same."""
    optimizer: Literal["soap", "adamw"] = "soap"
    """SOAP (Adam in the eigenbasis of the gradients) for the networks, AdamW for the rest; or
    AdamW for all."""
    learning_rate: Positive | Literal["auto"] = "auto"
    """Of the optimizer, at its highest; `auto`: 3e-3, with equivariant messages 6e-3, and more than
    32 channels 6e-3 sqrt(32 / channels). `config.yaml` records the number."""
    body_rate: NonNegative = 1.0
    """Factor of the learning rate for the recursion, which all heads share; 0 freezes it. For
    fine-tuning (`--from`)."""
    weight_decay: NonNegative = 0.3
    """Of the networks' weights only, at the highest rate, with which it falls: what the data do not
    ask for is forgotten."""
    clip: Positive | None = 10.0
    """Largest norm of the gradient."""
    schedule: Annotated[CosineSchedule | PlateauSchedule, Field(discriminator="name")] = (
        CosineSchedule()
    )
    """`{name: cosine}` or `{name: plateau}`."""
    ema: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"
    """Decay of the averaged weights that are saved; `auto`: 0.99, above 5000 steps 0.999."""
    loss: LossConfig = LossConfig()
    """Weights of the loss."""
    precision: Literal["mixed", "float64"] = "mixed"
    """`mixed`: geometry and energy sums in float64, networks in float32."""
    patience: Count | None = None
    """Stop after so many epochs without a better validation loss."""

    @property
    def rate(self) -> float:
        """The highest learning rate; `auto` is replaced before a training (`with_rate`)."""
        assert self.learning_rate != "auto", "no number has replaced it"
        return self.learning_rate

    @model_validator(mode="after")
    def _time_or_epochs(self) -> TrainingConfig:
        if self.time is not None and "epochs" in self.model_fields_set:
            raise ValueError("epochs and time are both given: leave out one of them")
        return self
