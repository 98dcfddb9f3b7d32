"""The training of an iteration, as by `reann train`."""

from __future__ import annotations

from pathlib import Path

from reann.config import Config, DataConfig, ModelConfig, RunConfig
from reann.learning.folders import Iteration
from reann.learning.settings import LoopConfig
from reann.training.folder import has_checkpoint
from reann.training.run import Run, resume, train

CACHE = ".reann-cache"


def train_on(iteration: Iteration, settings: LoopConfig, last: Path | None) -> Run:
    """Train, or resume an interrupted training; `last` is the potential to start from."""
    if has_checkpoint(iteration.run):
        return resume(iteration.run)
    config = config_of(iteration, settings, warm=last is not None)
    return train(config, warm_start=last, overwrite=True)  # an earlier attempt without a checkpoint


def config_of(iteration: Iteration, settings: LoopConfig, *, warm: bool) -> Config:
    """Return the configuration of the training."""
    retraining = settings.retraining or settings.training
    run = settings.run
    return Config(
        data=DataConfig(
            train=str(iteration.train.absolute()),
            valid=str(iteration.valid.absolute()),
            accept=settings.accept,
            cache=iteration.folder.parent.absolute() / CACHE,
        ),
        # A warm start takes the settings of the model from the potential.
        model=ModelConfig() if warm else settings.model,
        training=retraining if iteration.number else settings.training,
        run=RunConfig(
            folder=iteration.run,
            seed=run.seed,
            device=run.device,
            engine=run.engine,
            threads=run.threads,
        ),
    )
