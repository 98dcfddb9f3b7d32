"""The section `run`: folder, seeds, device, threads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from reann.config.engines import BUILT_IN, added
from reann.config.section import NonNegative, Section
from reann.errors import did_you_mean


class RunConfig(Section):
    """Folder, seeds, device and threads."""

    folder: Path | None = None
    """Folder of the run; by default `runs/` and the name of the configuration or data file."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """Seed of the split, the initial weights and the order of the structures."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of potentials to train, with consecutive seeds; several are saved as an ensemble."""
    device: str = "auto"
    """auto (a GPU if there is one), cpu or cuda."""
    engine: str = "auto"
    """native, triton, torch, or an engine of an installed package; auto: native on CPUs and triton
    on GPUs if available, else torch."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Number of CPU threads; by default one for every 10 000 neighbor pairs in a step, at most one
    per core."""
    uncertainty: bool = True
    """Calibrate the uncertainty of the potential on the validation set at the end."""
    tracker: Literal["none", "tensorboard", "wandb"] = "none"
    """Tracker that receives the metrics in addition to `log.csv`."""
    checkpoint_minutes: NonNegative = 10.0
    """Minutes between checkpoints within an epoch; a checkpoint is also written after each
    epoch."""

    @field_validator("engine")
    @classmethod
    def _known(cls, engine: str) -> str:
        if engine in BUILT_IN or engine in added():
            return engine
        engines = [*BUILT_IN, *added()]
        close = did_you_mean(engine, engines).strip().replace("Did", "did")
        name = f"{engine!r} ({close})" if close else f"{engine!r}"
        raise ValueError(f"there is no engine {name}: use one of {', '.join(engines)}")
