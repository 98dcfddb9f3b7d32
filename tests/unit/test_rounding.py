"""Structures whose coordinates were rounded are found again, and others are not."""

from __future__ import annotations

import ase
import ase.build
import numpy as np
import pytest

from reann.data.rounding import condensed, looked_up, recorded


def condensed_of(structures: list[ase.Atoms]) -> tuple[np.ndarray, np.ndarray]:
    sizes = [len(atoms) for atoms in structures]
    return condensed(
        np.concatenate([atoms.positions for atoms in structures]),
        np.concatenate([atoms.numbers for atoms in structures]),
        np.array([atoms.cell.array for atoms in structures]),
        np.array([atoms.pbc for atoms in structures], dtype=np.uint8),
        np.concatenate([[0], np.cumsum(sizes)]),
    )


def rattled(kind: str, count: int, amount: float = 0.1) -> list[ase.Atoms]:
    random = np.random.default_rng(5)
    start = {
        "molecule": ase.build.molecule("CH3CH2OH"),
        "crystal": ase.build.bulk("NaCl", "rocksalt", a=5.64) * (2, 2, 2),
        "slab": ase.build.fcc111("Al", (2, 2, 3), vacuum=5.0),
    }[kind]
    made = []
    for _ in range(count):
        atoms = start.copy()
        atoms.set_cell(atoms.cell.array * (1 + 0.03 * random.normal()), scale_atoms=True)
        atoms.positions += amount * random.normal(size=atoms.positions.shape)
        made.append(atoms)
    return made


@pytest.mark.parametrize("kind", ["molecule", "crystal", "slab"])
@pytest.mark.parametrize("digits", [3, 4, 5])
def test_rounded_structures_are_found_in_any_order_of_atoms(kind, digits):
    random, frames = np.random.default_rng(6), rattled(kind, 60)
    known = recorded(*condensed_of(frames))
    again = [atoms[random.permutation(len(atoms))] for atoms in frames]
    for atoms in again:
        atoms.cell = np.round(atoms.cell.array, digits)
        atoms.positions = np.round(atoms.positions, digits)
    assert looked_up(*condensed_of(again), known).mean() > 0.98


@pytest.mark.parametrize("kind", ["molecule", "crystal", "slab"])
def test_images_are_found(kind):
    random, frames = np.random.default_rng(6), rattled(kind, 20)
    known = recorded(*condensed_of(frames))
    for atoms in frames:
        steps = random.integers(-2, 3, size=(len(atoms), 3)) * atoms.pbc
        atoms.positions += steps @ atoms.cell.array
    assert looked_up(*condensed_of(frames), known).all()


@pytest.mark.parametrize("kind", ["molecule", "crystal", "slab"])
@pytest.mark.parametrize("step", [0.01, 0.03])
def test_neighbors_of_a_trajectory_are_others(kind, step):
    random, frames = np.random.default_rng(6), rattled(kind, 100)
    known = recorded(*condensed_of(frames))
    for atoms in frames:
        atoms.positions += step * random.normal(size=atoms.positions.shape)
    assert looked_up(*condensed_of(frames), known).mean() < 0.05


def test_another_element_size_or_periodicity_is_another_structure():
    (crystal,) = rattled("crystal", 1)
    known = recorded(*condensed_of([crystal]))
    others = [crystal.copy() for _ in range(3)]
    others[0].numbers[0] = 19
    others[1].pbc = (True, True, False)
    others[2].set_cell(crystal.cell.array * 1.001, scale_atoms=True)
    assert not looked_up(*condensed_of([*others, crystal * (2, 1, 1)]), known).any()


def test_absurd_coordinates_have_a_record():
    assert len(recorded(*condensed_of([ase.Atoms("H", [[1e300, 0, -1e300]])]))) == 1
