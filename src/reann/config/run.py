"""The section `run`: where and how it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from reann.config.engines import BUILT_IN, added
from reann.config.section import NonNegative, Section
from reann.errors import did_you_mean


class RunConfig(Section):
    """Where and how it runs."""

    folder: Path | None = None
    """Folder of the run; by default `runs/` and the name of the configuration or data file."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """Of the split, the initial weights and the order of the structures."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    """Train so many potentials with consecutive seeds and save them as one ensemble."""
    device: str = "auto"
    """auto, cpu or cuda."""
    engine: str = "auto"
    """What computes: native, triton, torch, or one that a package has added; auto: native on CPUs,
    triton on GPUs, where they are installed, else torch."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Threads of the CPU; by default as many cores as the neighbor pairs of a step keep busy."""
    uncertainty: bool = True
    """Whether the potential gets an uncertainty at the end, measured on the validation set."""
    tracker: Literal["none", "tensorboard", "wandb"] = "none"
    """Where metrics are sent besides `log.csv`."""
    checkpoint_minutes: NonNegative = 10.0
    """Time between checkpoints inside an epoch; there is one after every epoch."""

    @field_validator("engine")
    @classmethod
    def _known(cls, engine: str) -> str:
        if engine in BUILT_IN or engine in added():
            return engine
        every = [*BUILT_IN, *added()]
        close = did_you_mean(engine, every).strip().replace("Did", "did")
        name = f"{engine!r} ({close})" if close else f"{engine!r}"
        raise ValueError(f"there is no engine {name}: use one of {', '.join(every)}")
