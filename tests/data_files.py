"""Files of labeled structures, and the data sets that a training reads from them."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io

from reann.config import DataConfig, Keys
from reann.data.dataset import Dataset, open_dataset


def written(frames: list[ase.Atoms], folder: Path) -> Path:
    path = folder / "water.xyz"
    ase.io.write(path, frames, format="extxyz")
    return path


def opened(path: Path, **keys: str) -> Dataset:
    data = DataConfig(train=str(path), keys=Keys.model_validate(keys))
    return open_dataset(str(path), data, 4.0, path.parent / "cache")
