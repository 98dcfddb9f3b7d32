"""The structures that are timed, written to files that every peer can read."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
from ase.md.velocitydistribution import Stationary, thermalize_momenta

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "upstream"
COPIES = {"water 192": 1, "water 1536": 2, "water 12288": 4}
RATTLE = 0.02  # Å
ASPIRIN = "aspirin-rmd17/train.xyz.gz"
"""Below the folder with the data sets."""
MOLECULES, APART = 5, 30.0  # Å


def write(name: str, folder: Path, data: Path | None = None) -> Path:
    """Write a structure where it is missing, and return the file."""
    file = folder / f"{name.replace(' ', '-')}.xyz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        ase.io.write(file, structure(name, data))
    return file


def structure(name: str, data: Path | None) -> ase.Atoms:
    """Return a structure; `data` is the folder with the data sets."""
    if name == "CH4":
        return ase.build.molecule("CH4")
    if name == "aspirin 105":
        assert data, "aspirin is read from the data sets"
        return molecules(data / ASPIRIN)
    return water(COPIES[name])


def molecules(file: Path) -> ase.Atoms:
    """Return the first molecules of a data set in a row, too far apart to see each other."""
    row = ase.Atoms()
    for i, molecule in enumerate(ase.io.read(file, f":{MOLECULES}")):
        molecule.positions += [APART * i, 0.0, 0.0]
        row += ase.Atoms(molecule.numbers, molecule.positions)
    return row


def water(copies: int) -> ase.Atoms:
    """Return liquid water, one frame of the golden files repeated along each axis, rattled.

    Velocities are those of 300 K.
    """
    with np.load(GOLDEN / "reann_water_t3_expected.npz") as arrays:
        frame = {key: arrays[f"frame0/{key}"] for key in ("numbers", "positions", "cell", "pbc")}
    atoms = ase.Atoms(**frame).repeat(copies)
    if copies > 1:
        atoms.rattle(RATTLE, seed=1)
    thermalize_momenta(atoms, temperature_K=300.0, rng=np.random.default_rng(1))
    Stationary(atoms)
    return atoms
