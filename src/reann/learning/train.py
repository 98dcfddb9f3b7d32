"""The trainings of a loop, as by `reann train`."""

from __future__ import annotations

from pathlib import Path

from reann.config import Config, DataConfig, ModelConfig, RunConfig, TrainingConfig
from reann.learning.folders import Iteration
from reann.learning.settings import LoopConfig
from reann.training.folder import has_checkpoint
from reann.training.run import Run, resume, train

CACHE = ".reann-cache"


def train_on(iteration: Iteration, settings: LoopConfig, last: Path | None) -> Run:
    """Train, or resume an interrupted training; `last` is the potential to start from."""
    training = training_of(iteration, settings)
    config = _config(iteration, settings, training, iteration.run, warm=last is not None)
    return _train_or_resume(config, iteration.run, last)


def train_final(iteration: Iteration, settings: LoopConfig) -> Run:
    """Train the final potential from scratch, or resume its training."""
    config = _config(iteration, settings, final_training(settings), iteration.final, warm=False)
    return _train_or_resume(config, iteration.final, None)


def training_of(iteration: Iteration, settings: LoopConfig) -> TrainingConfig:
    """Return the settings of the training of an iteration."""
    retraining = settings.retraining or settings.training
    return retraining if iteration.number else settings.training


def final_training(settings: LoopConfig) -> TrainingConfig:
    """Return the settings of the final training."""
    return settings.training if isinstance(settings.final, bool) else settings.final


def _train_or_resume(config: Config, folder: Path, last: Path | None) -> Run:
    if has_checkpoint(folder):
        return resume(folder)
    return train(config, warm_start=last, overwrite=True)  # an earlier attempt without a checkpoint


def _config(
    iteration: Iteration,
    settings: LoopConfig,
    training: TrainingConfig,
    folder: Path,
    *,
    warm: bool,
) -> Config:
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
        training=training,
        run=RunConfig(
            folder=folder,
            seed=run.seed,
            device=run.device,
            engine=run.engine,
            threads=run.threads,
        ),
    )
