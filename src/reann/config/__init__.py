"""The whole configuration: four sections, each field documented where it is declared.

A complete file names only the training data. The docstring under a field is its documentation:
the reference page of the docs is generated from here.
"""

from __future__ import annotations

from reann.config.data import DataConfig, GroupSplit, IndexSplit, Keys, Part, Source, Units
from reann.config.model import ModelConfig, NetworkConfig, ZBLConfig
from reann.config.run import RunConfig
from reann.config.section import Section
from reann.config.training import CosineSchedule, LossConfig, PlateauSchedule, TrainingConfig

__all__ = [
    "Config",
    "CosineSchedule",
    "DataConfig",
    "GroupSplit",
    "IndexSplit",
    "Keys",
    "LossConfig",
    "ModelConfig",
    "NetworkConfig",
    "Part",
    "PlateauSchedule",
    "RunConfig",
    "Section",
    "Source",
    "TrainingConfig",
    "Units",
    "ZBLConfig",
]


class Config(Section):
    """Everything a training needs."""

    data: DataConfig
    """Structures and labels."""
    model: ModelConfig = ModelConfig()
    """The potential."""
    training: TrainingConfig = TrainingConfig()
    """The optimization."""
    run: RunConfig = RunConfig()
    """The run."""
