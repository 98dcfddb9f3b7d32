"""Random structures, and distances at which errors are likely."""

from __future__ import annotations

from collections.abc import Collection

import ase
import numpy as np

CLOSEST = 0.7
"""Minimum distance of two atoms, Å."""


def random_structure(
    seed: int,
    n_atoms: int,
    pbc: tuple[bool, bool, bool] = (True, True, True),
    elements: Collection[int] = (1, 6, 8),
) -> ase.Atoms:
    """Return atoms at least 0.7 Å apart in a skewed cell of either handedness.

    Some lie outside the cell, which is 2.5 to 5 Å wide.
    """
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(2.5, 5.0, 3)) + rng.uniform(-0.8, 0.8, (3, 3))
    cell = cell[rng.permutation(3)]
    for _ in range(1000):
        positions = rng.uniform(-0.5, 1.5, (n_atoms, 3)) @ cell
        numbers = rng.choice(list(elements), n_atoms)
        atoms = ase.Atoms(numbers, positions, cell=cell, pbc=pbc)
        distances = atoms.get_all_distances(mic=any(pbc))
        if n_atoms == 1 or distances[np.triu_indices(n_atoms, 1)].min() > CLOSEST:
            return atoms
    raise ValueError(f"{n_atoms} atoms do not fit into the cell.")


def distances_around(cutoff: float) -> list[float]:
    """Return the cutoff and the next three numbers on both sides, in single and double precision.

    A lattice constant may equal the cutoff, where derivatives may be 0 * inf.
    """
    distances = {cutoff}
    for number in (np.float32, np.float64):
        for end in (0.0, 10.0 * cutoff):
            distance = number(cutoff)
            for _ in range(3):
                distance = np.nextafter(distance, number(end))
                distances.add(float(distance))
    return sorted(distances)


def with_pair_at(
    atoms: ase.Atoms, distance: float, seed: int, elements: Collection[int] = (1, 6, 8)
) -> ase.Atoms:
    """Return atoms plus one at a distance (Å) from the first and at least 0.7 Å from all."""
    rng = np.random.default_rng(seed)
    for _ in range(100):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        number = [rng.choice(list(elements))]
        more = atoms + ase.Atoms(number, [atoms.positions[0] + distance * direction])
        if more.get_distances(-1, range(len(atoms)), mic=any(atoms.pbc)).min() > CLOSEST:
            return more
    return atoms
