"""Where structures and potentials come from, and which atoms a potential has never seen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from numpy.typing import ArrayLike, NDArray

from reann.data.neighbors import graph_from_atoms
from reann.potential import Ensemble, Potential, load

FILES = {
    "ethanol": "ethanol-rmd17/train.xyz.gz",
    "si": "mlearn-zuo2020/Si_train.xyz.gz",
    "mo": "mlearn-zuo2020/Mo_train.xyz.gz",
    "water-pbe0": "water-pbe0-deepmd/train.xyz.gz",
    "co2-ni100": "co2-ni100/train.xyz.gz",
}
"""What each potential was trained on; validation and test structures of some were drawn from it."""


@dataclass(frozen=True)
class Bench:
    """The folder of the data sets and that of the trained potentials, of one preset."""

    data: Path
    models: Path
    preset: str

    def frames(self, file: str) -> list[ase.Atoms]:
        """Return all structures of a file below the data folder, with their labels."""
        return ase.io.read(self.data / file, ":", format="extxyz")

    def training(self, name: str) -> list[ase.Atoms]:
        """Return the structures that a potential was trained on."""
        return self.frames(FILES[name])

    def model(self, name: str) -> Path:
        """Return the file of the potential of a set."""
        return self.models / f"{name}-{self.preset}-seed1" / "model.reann"

    def potential(self, name: str) -> Potential | Ensemble:
        """Return the potential of a set."""
        return load(self.model(name))

    def history(self, name: str) -> dict[str, Any]:
        """Return which file it was and how well it was trained."""
        metadata = self.potential(name).metadata
        digest = hashlib.sha256(self.model(name).read_bytes()).hexdigest()
        errors = {key: round(value, 3) for key, value in metadata["errors"]["valid"].items()}
        return {"sha256": digest[:16], "epoch": metadata["epoch"], "valid": errors}


def extrapolating(potential: Potential | Ensemble, atoms: ase.Atoms) -> NDArray[np.bool_]:
    """Return which atoms lie outside the density that the training had."""
    return potential.model.extrapolates(graph_from_atoms(atoms, potential.cutoff)).numpy()


def rounded(values: ArrayLike, digits: int = 4) -> list[Any]:
    """Return nested lists with a few digits behind the point."""
    return np.round(np.asarray(values, dtype=float), digits).tolist()


def rms(values: ArrayLike) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
