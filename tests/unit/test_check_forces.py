"""Forces and energies that belong to other atoms, components, units or structures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from reann import units
from reann.config import DataConfig
from reann.data.check import Finding, survey
from reann.data.check.quick import quick_findings
from reann.data.dataset import open_dataset

Labels = dict[str, object]
Change = Callable[[Labels, int], Labels]
ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"


def frames_of(rattle: float, strain: float, count: int) -> list[Atoms]:
    random, frames = np.random.default_rng(3), []
    for seed in range(count):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        shape = np.eye(3) + strain * random.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ shape, scale_atoms=True)
        atoms.rattle(rattle, seed=seed)
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def strained() -> list[Atoms]:
    """No two structures are close."""
    return frames_of(0.2, 0.05, 16)


@pytest.fixture(scope="module")
def close() -> list[Atoms]:
    return frames_of(0.02, 0.0, 12)


def changed(frames: list[Atoms], change: Change) -> list[Atoms]:
    new = []
    for i, atoms in enumerate(frames):
        copy = atoms.copy()
        copy.calc = SinglePointCalculator(copy, **change(dict(atoms.calc.results), i))
        new.append(copy)
    return new


def forces(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda results, _: results | {"forces": change(np.array(results["forces"]))}


def checked(folder: Path, frames: list[Atoms]) -> list[dict[str, Finding]]:
    """Return the findings of `check` and those at the start of `train`, by name."""
    path = str(folder / "made.xyz")
    write(path, frames, format="extxyz")
    dataset = open_dataset(path, DataConfig(train=""), 4.0, folder / "cache")
    every = survey([path], None, 4.0).findings, quick_findings([dataset], 4.0)
    return [{f.name: f for f in findings} for findings in every]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: np.roll(f, 1, axis=0), "those of the atom before"),
        (lambda f: np.roll(f, -1, axis=0), "those of the atom after"),
        (lambda f: f[::-1], "the reverse order of the atoms"),
        (lambda f: f[:, [2, 0, 1]], "in the order z x y of the components"),
    ],
)
def test_forces_in_another_order_are_an_error_though_no_two_structures_are_close(
    tmp_path: Path, strained: list[Atoms], change: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    for findings in checked(tmp_path, changed(strained, forces(change))):
        assert findings["force-order"].severity == "error"
        assert words in findings["force-order"].message


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1 / units.force("nN"), "nN beside"),
        (units.force("nN"), "converted from nN"),
        (1 / units.LENGTH["Bohr"], "eV/Bohr"),
        (2.0, "Rydberg"),
    ],
)
def test_forces_in_a_unit_of_similar_size_are_recognized(
    tmp_path: Path, close: list[Atoms], factor: float, words: str
) -> None:
    for findings in checked(tmp_path, changed(close, forces(lambda f: factor * f))):
        assert findings["forces-disagree"].severity == "error"
        assert words in findings["forces-disagree"].message


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_component_that_is_zero_everywhere_is_an_error(
    tmp_path: Path, strained: list[Atoms], axis: int
) -> None:
    keep = np.delete(np.eye(3), axis, axis=0).sum(axis=0)
    for findings in checked(tmp_path, changed(strained, forces(lambda f: keep * f))):
        assert findings["zero-component"].severity == "error"
        assert f"along {'xyz'[axis]} are" in findings["zero-component"].message
    part = changed(strained, lambda r, i: r | {"forces": (keep if i == 3 else 1) * r["forces"]})
    for findings in checked(tmp_path, part):
        assert findings["zero-component"].severity == "warning"
        assert "made.xyz#3" in findings["zero-component"].examples[0]


def test_a_planar_molecule_may_have_no_forces_along_its_normal(tmp_path: Path) -> None:
    random, frames = np.random.default_rng(0), []
    for _ in range(6):
        atoms = Atoms("H2CO", [[0, 0.94, 0], [0, -0.94, 0], [0.5, 0, 0], [1.7, 0, 0]])
        atoms.positions[:, :2] += 0.05 * random.normal(size=(4, 2))
        force = np.hstack([random.normal(size=(4, 2)), np.zeros((4, 1))])
        atoms.calc = SinglePointCalculator(atoms, energy=random.normal(), forces=force)
        frames.append(atoms)
    for findings in checked(tmp_path, frames):
        assert "zero-component" not in findings


def energy_before(frames: list[Atoms], which: set[int]) -> Change:
    def change(results: Labels, i: int) -> Labels:
        return results | ({"energy": frames[i - 1].calc.results["energy"]} if i in which else {})

    return change


def test_the_energy_of_the_structure_before_is_a_warning(
    tmp_path: Path, strained: list[Atoms]
) -> None:
    for findings in checked(tmp_path, changed(strained, energy_before(strained, {5, 9}))):
        assert findings["repeated-energies"].severity == "warning"
        assert [e.split(" ")[0][-6:] for e in findings["repeated-energies"].examples] == [
            ".xyz#5",
            ".xyz#9",
        ]


def test_energies_with_few_digits_and_mirror_images_are_not_repeated(
    tmp_path: Path, strained: list[Atoms]
) -> None:
    rounded = changed(strained, lambda r, _: r | {"energy": round(float(r["energy"]), 0)})
    mirrored = []
    for atoms in strained[:4]:
        other = atoms.copy()
        other.set_cell(atoms.cell.array * [-1, 1, 1], scale_atoms=True)
        results = atoms.calc.results
        labels = {"energy": results["energy"], "forces": results["forces"] * [-1, 1, 1]}
        other.calc = SinglePointCalculator(other, **labels)
        mirrored += [atoms, other]
    for frames in (rounded, mirrored, read(ETHANOL, ":")):
        for findings in checked(tmp_path, frames):
            assert "repeated-energies" not in findings


@pytest.mark.parametrize(("every", "count"), [(2, 10), (5, 4), (20, 0)])
def test_gradients_among_forces_are_a_warning(tmp_path: Path, every: int, count: int) -> None:
    """One structure alone is left to the quick fit."""
    frames = read(ETHANOL, ":")
    for i, atoms in enumerate(frames):
        sign = -1.0 if i % every == 0 else 1.0
        labels = {"energy": atoms.get_potential_energy(), "forces": sign * atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
    write(tmp_path / "mixed.xyz", frames, format="extxyz")
    path = str(tmp_path / "mixed.xyz")
    dataset = open_dataset(path, DataConfig(train=""), 5.0, tmp_path / "cache")
    for findings in (survey([path], None, 5.0).findings, quick_findings([dataset], 5.0)):
        signs = [f for f in findings if f.name == "forces-of-both-signs"]
        assert len(signs) == (count > 0)
        for f in signs:  # in some structures no bond is far from its length
            assert 0.7 * count <= f.count <= count
            assert all(int(e.rpartition("#")[2]) % every == 0 for e in f.examples)
