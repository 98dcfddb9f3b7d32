"""Stresses with components in another order, twice as large, or of another kind than they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.units import GPa

from reann.config import DataConfig
from reann.data.check import Finding, survey
from reann.data.check.quick import quick_findings
from reann.data.dataset import open_dataset

Change = Callable[[np.ndarray, Atoms], np.ndarray]
VASP, LAMMPS = [0, 1, 2, 5, 3, 4], [0, 1, 2, 5, 4, 3]


def made(rattle: float, strain: float, count: int, supercell: tuple[int, int, int]) -> list[Atoms]:
    random, frames = np.random.default_rng(3), []
    for seed in range(count):
        atoms = bulk("Cu", cubic=True) * supercell
        shape = np.eye(3) + strain * random.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ shape, scale_atoms=True)
        atoms.rattle(rattle, seed=seed)
        atoms.calc = EMT()
        atoms.get_stress()
        results = {k: atoms.calc.results[k] for k in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def sheared() -> list[Atoms]:
    """Cells that differ by strains: their energies show the work of the stresses."""
    return made(0.003, 0.006, 12, (1, 1, 1))


@pytest.fixture(scope="module")
def disordered() -> list[Atoms]:
    """One cell with atoms far from each other in all structures: there are only the forces."""
    return made(0.2, 0.0, 24, (2, 1, 1))


def changed(frames: list[Atoms], change: Change, only: int | None = None) -> list[Atoms]:
    new = []
    for i, atoms in enumerate(frames):
        copy, results = atoms.copy(), dict(atoms.calc.results)
        if only is None or i == only:
            results["stress"] = change(results["stress"], atoms)
        copy.calc = SinglePointCalculator(copy, **results)
        new.append(copy)
    return new


def checked(folder: Path, frames: list[Atoms], *, fit: bool = False) -> list[dict[str, Finding]]:
    """Return the findings of `check` and those at the start of `train`, by name."""
    path = str(folder / "made.xyz")
    write(path, frames, format="extxyz")
    dataset = open_dataset(path, DataConfig(train=""), 4.0, folder / "cache")
    every = survey([path], None, 4.0, fit=fit).findings, quick_findings([dataset], 4.0)
    return [{f.name: f for f in findings} for findings in every]


ORDERS = [
    (lambda s, _: s[VASP], "VASP"),
    (lambda s, _: s[LAMMPS], "LAMMPS"),
    (lambda s, _: s[[0, 1, 2, 4, 3, 5]], "xz yz xy instead of yz xz xy"),
    (lambda s, _: s * [1, 1, 1, -1, -1, -1], "minus the correct values"),
]
SIZES = [
    (lambda s, _: s * [1, 1, 1, 2, 2, 2], "twice the correct values"),
    (lambda s, _: s * [1, 1, 1, 0.5, 0.5, 0.5], "half of the correct values"),
]


@pytest.mark.parametrize(("change", "words"), [*ORDERS, *SIZES])
def test_wrong_shear_is_an_error_where_the_energies_of_strained_cells_show_it(
    tmp_path: Path, sheared: list[Atoms], change: Change, words: str
) -> None:
    for findings in checked(tmp_path, changed(sheared, change)):
        assert findings["stress-components"].severity == "error"
        assert words in findings["stress-components"].message


@pytest.mark.parametrize(("change", "words"), ORDERS)
def test_wrong_shear_is_an_error_where_the_forces_show_it(
    tmp_path: Path, disordered: list[Atoms], change: Change, words: str
) -> None:
    for findings in checked(tmp_path, changed(disordered, change)):
        assert findings["stress-components"].severity == "error"
        assert words in findings["stress-components"].message


@pytest.mark.parametrize("name", ["sheared", "disordered"])
def test_right_shear_is_confirmed_as_far_as_it_can_be(
    tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    for findings in checked(tmp_path, request.getfixturevalue(name)):
        about = {name: f.severity for name, f in findings.items() if "stress" in name}
        assert set(about.values()) == {"note"}
        size = "order and size" if name == "sheared" else "a factor of two could not be excluded"
        assert size in findings["stress-components"].message


def test_shear_that_cannot_be_verified_is_said(tmp_path: Path, disordered: list[Atoms]) -> None:
    for findings in checked(tmp_path, disordered[:5]):
        assert "could not be checked with these structures" in findings["stress-components"].message


def test_part_of_the_structures_in_another_order_is_a_warning(
    tmp_path: Path, disordered: list[Atoms]
) -> None:
    frames = disordered[:12] + changed(disordered[12:], ORDERS[2][0])
    for findings in checked(tmp_path, frames):
        assert findings["stress-components"].severity == "warning"
        assert "xz yz xy instead of yz xz xy" in findings["stress-components"].message
        assert findings["stress-components"].examples[0].endswith("made.xyz#12")


@pytest.mark.parametrize(
    "change",
    [
        lambda s, _: -s,
        lambda s, _: 0.1 * GPa * s,
        lambda s, _: GPa * s,
        lambda s, _: s / GPa,
        lambda s, _: s / (0.1 * GPa),
        lambda s, a: -s / a.get_volume(),
    ],
)
def test_a_wrong_unit_of_the_stress_is_an_error_though_no_two_structures_are_close(
    tmp_path: Path, disordered: list[Atoms], change: Change
) -> None:
    for findings in checked(tmp_path, changed(disordered, change)):
        assert findings["stress-beside-forces"].severity == "error"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, _: 0.1 * GPa * s, "converted from kbar"),
        (lambda s, _: GPa * s, "converted from GPa"),
        (lambda s, a: s / len(a), "divided by the number of atoms (4 atoms)"),
        (lambda s, a: -s / a.get_volume(), "stresses under the key of a virial"),
        (lambda s, a: -s * a.get_volume(), "virials in eV"),
        (lambda s, a: -s * a.get_volume() / len(a), "virials per atom"),
    ],
)
def test_what_a_stress_really_is_is_named(
    tmp_path: Path, sheared: list[Atoms], change: Change, words: str
) -> None:
    for findings in checked(tmp_path, changed(sheared, change)):
        assert findings["stresses-disagree"].severity == "error"
        assert words in findings["stresses-disagree"].message


@pytest.mark.parametrize(
    ("factor", "name"), [(0.0, "all-stresses-zero"), (10 / GPa, "stress-outliers")]
)
def test_one_wrong_stress_among_right_ones_is_a_warning(
    tmp_path: Path, disordered: list[Atoms], factor: float, name: str
) -> None:
    for findings in checked(tmp_path, changed(disordered, lambda s, _: factor * s, only=7)):
        assert findings[name].severity == "warning"
        assert findings[name].examples[0].split(" ")[0].endswith("made.xyz#7")


@pytest.mark.parametrize("factor", [-1.0, 0.0, 5.0])
def test_the_quick_fit_finds_one_wrong_stress(
    tmp_path: Path, disordered: list[Atoms], factor: float
) -> None:
    frames = changed(disordered, lambda s, _: factor * s, only=7)
    finding = checked(tmp_path, frames, fit=True)[0]["fit-stresses"]
    assert len(finding.examples) == 1
    assert "made.xyz#7 " in finding.examples[0]
