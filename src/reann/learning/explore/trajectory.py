"""Result of an exploration."""

from __future__ import annotations

from dataclasses import dataclass, field

import ase
import numpy as np
from ase.data import covalent_radii
from ase.geometry import get_distances

CLOSEST = 0.5
"""Fraction of the sum of the covalent radii; structures with closer atoms are discarded."""


@dataclass(frozen=True)
class Trajectory:
    """Structures of one exploration."""

    frames: list[ase.Atoms]
    ended: str = ""
    """Why it ended early, empty if it did not."""
    time: float = 0.0
    """Length in fs; 0 for explorations other than dynamics."""
    seconds: float = field(default=0.0, compare=False)


def is_possible(atoms: ase.Atoms) -> bool:
    """Return whether positions are finite and no two atoms overlap."""
    if not np.isfinite(atoms.positions).all():
        return False
    return len(atoms) < 2 or bool(ratios(atoms).min() > CLOSEST)


def ratios(atoms: ase.Atoms) -> np.ndarray:
    """Return the distances of all pairs relative to the sums of their covalent radii, (pairs,)."""
    distances = get_distances(atoms.positions, cell=atoms.cell, pbc=atoms.pbc)[1]
    radii = covalent_radii[atoms.numbers]
    upper = np.triu_indices(len(atoms), 1)
    return distances[upper] / (radii[:, None] + radii)[upper]
