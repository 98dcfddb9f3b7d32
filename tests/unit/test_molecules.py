"""Molecules of the report: in one piece, moved by vectors of the lattice only."""

import ase
import ase.build
import numpy as np
import pytest

from reann.report.molecules import bonds_of, unbroken
from reann.report.scene import MOST_ATOMS, SHOWN_ATOMS, scene_of


def box_of_water(n: int, seed: int = 0) -> ase.Atoms:
    """Return n**3 molecules in a skewed cell, wrapped into it."""
    rng = np.random.default_rng(seed)
    atoms = ase.Atoms()
    for place in np.ndindex(n, n, n):
        water = ase.build.molecule("H2O")
        water.rotate(float(rng.uniform(0, 360)), rng.normal(size=3))
        water.translate(4.0 * np.array(place) - water.get_center_of_mass())
        atoms += water
    atoms.set_cell(4.0 * n * np.eye(3) + np.triu(np.full((3, 3), 0.5), 1))
    atoms.pbc = True
    atoms.wrap()
    return atoms


def longest_bond(atoms: ase.Atoms) -> float:
    pairs = [(3 * m, 3 * m + k) for m in range(len(atoms) // 3) for k in (1, 2)]
    return max(np.linalg.norm(atoms.positions[i] - atoms.positions[j]) for i, j in pairs)


@pytest.mark.parametrize("around", [None, 4])
def test_molecules_are_whole(around):
    atoms = box_of_water(3)
    assert longest_bond(atoms) > 5.0  # cut by the boundaries
    whole, bonds = unbroken(atoms, around)
    assert longest_bond(whole) < 1.0
    moved = atoms.cell.scaled_positions(whole.positions - atoms.positions)
    assert np.allclose(moved, np.round(moved), atol=1e-9)
    straight = whole.positions[bonds.second] - whole.positions[bonds.first]
    assert np.allclose(straight, bonds.vectors, atol=1e-9)
    if around is not None:
        assert np.allclose(whole.positions[around], atoms.positions[around])
        distances = np.linalg.norm(whole.positions - atoms.positions[around], axis=1)
        assert distances.max() < 12.0


def test_crystals_and_molecules_in_vacuum_stay():
    crystal, molecule = ase.build.bulk("Si", cubic=True), ase.build.molecule("CH3CH2OH")
    for atoms in (crystal, molecule):
        whole, bonds = unbroken(atoms)
        assert (whole.positions == atoms.positions).all()
        assert len(bonds.first) == len(bonds_of(atoms).first) > 0


def test_a_large_cell_is_shown_around_the_marked_atom():
    atoms = box_of_water(5)
    assert len(atoms) > MOST_ATOMS
    scene = scene_of(atoms, 7)
    assert len(scene["positions"]) == SHOWN_ATOMS
    assert scene["cell"] is None
    positions = np.array(scene["positions"])
    distances = np.linalg.norm(positions - positions[scene["worst"]], axis=1)
    expected = np.sort(atoms.get_distances(7, range(len(atoms)), mic=True))
    # Whole molecules: an atom may be shown where its own nearest image is not.
    assert np.allclose(np.sort(distances)[:50], expected[:50], atol=2e-3)
    small = scene_of(box_of_water(2), 7)
    assert small["cell"] is not None
