"""Fingerprints are those of the geometry: no file, order, image or label changes them."""

from __future__ import annotations

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from reann.config import DataConfig
from reann.data.dataset import open_dataset
from reann.data.fingerprint import decoded, draws, encoded, fingerprints, stored_part


def prints(*structures: ase.Atoms) -> list[int]:
    """Return the fingerprints of structures."""
    sizes = [len(atoms) for atoms in structures]
    found = fingerprints(
        np.concatenate([atoms.positions for atoms in structures]),
        np.concatenate([atoms.numbers for atoms in structures]),
        np.array([atoms.cell.array for atoms in structures]),
        np.array([atoms.pbc for atoms in structures], dtype=np.uint8),
        np.concatenate([[0], np.cumsum(sizes)]),
    )
    return found.tolist()


def crystal(seed: int = 0) -> ase.Atoms:
    atoms = ase.build.bulk("NaCl", "rocksalt", a=5.64) * (2, 1, 1)
    atoms.rattle(0.05, seed=seed)
    return atoms


def changed(how: str, amount: float = 0.0) -> ase.Atoms:
    atoms = crystal()
    if how == "position":
        atoms.positions[1, 0] += amount
    elif how == "species":
        atoms.numbers[0] = 19
    elif how == "cell":
        atoms.cell[0, 0] += amount
    elif how == "pbc":
        atoms.pbc = (True, True, False)
    return atoms


@pytest.mark.parametrize(
    ("how", "amount"),
    [("position", 3e-4), ("species", 0.0), ("cell", 3e-4), ("pbc", 0.0)],
)
def test_another_geometry_has_another_fingerprint(how, amount):
    assert prints(crystal()) != prints(changed(how, amount))


def test_a_supercell_is_another_structure():
    assert prints(crystal()) != prints(crystal() * (2, 1, 1))


@given(
    images=st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=4, max_size=4),
    order=st.permutations(range(4)),
)
def test_images_and_order_of_atoms_do_not_matter(images, order):
    atoms = crystal()
    other = atoms.copy()
    other.positions += np.array(images) @ atoms.cell.array
    assert prints(other[list(order)]) == prints(atoms)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75])
@pytest.mark.parametrize("error", [-1e-9, -0.0, 1e-9, 1.0 - 1e-9, -1.0])
@pytest.mark.parametrize("a", [5.4302, 5.43015, 4.05, 3.6149])
def test_special_positions_are_not_on_an_edge_of_the_rounding(fraction, error, a):
    cell = ase.build.bulk("Si", "diamond", a=a).cell
    exact = ase.Atoms("Si2", scaled_positions=[[0, 0, 0], [fraction] * 3], cell=cell, pbc=True)
    other = exact.copy()
    other.positions = (exact.get_scaled_positions(wrap=False) + error) @ cell.array
    assert prints(other) == prints(exact)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=3, max_size=3), st.integers(3, 5))
def test_decimal_positions_are_not_on_an_edge_of_the_rounding(numbers, digits):
    position = np.array(numbers) / 10.0**digits
    one, other = (ase.Atoms("H", [position + error]) for error in (1e-9, -1e-9))
    assert prints(one) == prints(other)


def test_a_molecule_keeps_its_place_and_its_box_does_not_matter():
    water = ase.build.molecule("H2O")
    boxed = water.copy()
    boxed.cell = np.diag([9.0, 9.0, 9.0])
    moved = water.copy()
    moved.positions += 1.0
    assert prints(boxed) == prints(water)
    assert prints(moved) != prints(water)


def test_a_slab_is_wrapped_in_its_plane_only():
    slab = ase.build.fcc111("Al", (1, 1, 3), vacuum=5.0)
    inside, above = slab.copy(), slab.copy()
    inside.positions += slab.cell[0] - 2 * slab.cell[1]
    above.positions += [0, 0, 1.0]
    assert prints(inside) == prints(slab)
    assert prints(above) != prints(slab)


@pytest.mark.parametrize("n_before", [0, 1, 7])
def test_structures_beside_it_do_not_change_a_fingerprint(n_before, monkeypatch):
    monkeypatch.setattr("reann.data.fingerprint.CHUNK", 3)
    others = [crystal(seed) * (1, 1, 1 + seed % 2) for seed in range(1, 1 + n_before)]
    assert prints(*others, crystal())[-1:] == prints(crystal())


def test_the_same_structures_in_other_files_formats_and_units_have_the_same_fingerprints(tmp_path):
    frames = [crystal(seed) for seed in range(3)]
    for atoms in frames:
        atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    names = ["a.xyz", "b.traj", "c.db"]
    for name in names:
        ase.io.write(tmp_path / name, frames)
    bohr = [atoms.copy() for atoms in frames]
    for atoms in bohr:
        atoms.set_cell(atoms.cell / ase.units.Bohr, scale_atoms=True)
        atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    ase.io.write(tmp_path / "bohr.traj", bohr)

    def found(name: str, **units: str) -> list[int]:
        data = DataConfig(train="", units=units)
        return open_dataset(
            str(tmp_path / name), data, 3.0, tmp_path / "cache"
        ).fingerprints.tolist()

    every = [found(name) for name in names] + [found("bohr.traj", length="Bohr")]
    assert all(one == every[1] for one in every)


def test_absurd_coordinates_have_a_fingerprint():
    assert len(prints(ase.Atoms("H", [[1e300, 0, -1e300]]))) == 1


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=20), st.integers(0, 2**32 - 1))
def test_a_draw_depends_on_the_name_and_the_seed_only(names, seed):
    found = draws(names, seed)
    assert ((found >= 0) & (found < 1)).all()
    assert found.tolist() == [draws([name], seed)[0] for name in names]


def test_draws_are_uniform_and_seeds_are_independent():
    names = [str(i).encode() for i in range(4000)]
    one, other = draws(names, 1), draws(names, 2)
    counts, _ = np.histogram(one, bins=10, range=(0, 1))
    assert abs(counts - 400).max() < 100
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.06


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_stored_fingerprints_come_back(numbers):
    found = np.array(numbers, dtype=np.uint64)
    text = encoded(found)
    assert decoded(text).tolist() == sorted(set(stored_part(found).tolist()))
    assert len(text) == 8 * len(set(stored_part(found).tolist()))


@pytest.mark.parametrize("text", ["?", "AAAA", "AAAAAAAAA", "ÄAAAAAAA"])
def test_what_is_no_list_of_fingerprints_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"base64|reshape|ASCII"):
        decoded(text)
