"""Random displacements of atoms and strains of cells."""

from __future__ import annotations

import ase
import numpy as np

from reann.learning.explore.trajectory import Trajectory, is_possible
from reann.learning.settings import DisplacementsConfig
from reann.motion.start import read_start


def displaced(starts: list[ase.Atoms], settings: DisplacementsConfig, seed: int) -> Trajectory:
    """Return a displaced copy of each start, without those in which atoms overlap.

    Constraints hold: fixed atoms stay.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for start in starts:
        atoms = read_start(start)[0]
        strain = settings.strain * rng.standard_normal((3, 3))
        shifts = settings.standard_deviation * rng.standard_normal((len(atoms), 3))
        if settings.strain and atoms.pbc.any():
            # The cell is strained along periodic directions only.
            both = np.outer(atoms.pbc, atoms.pbc)
            symmetric = np.eye(3) + np.where(both, (strain + strain.T) / 2, 0.0)
            atoms.set_cell(atoms.cell.array @ symmetric, scale_atoms=True)
        atoms.set_positions(atoms.positions + shifts)
        frames.append(atoms)
    possible = [atoms for atoms in frames if is_possible(atoms)]
    return Trajectory(possible)
