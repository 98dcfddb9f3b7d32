"""Orientation of forces, lattices that are not used, and numbers with few digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from reann.config import DataConfig
from reann.data.check import Finding, survey
from reann.data.check.quick import quick_findings
from reann.data.dataset import open_dataset

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"
ANGLE = np.radians(40.0)
TURN = np.array(
    [[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1.0]]
)


def changed(change: Callable[[Atoms, dict], object]) -> list[Atoms]:
    """Return structures of ethanol whose atoms and labels were changed in place."""
    frames = read(ETHANOL, ":")
    for atoms in frames:
        results = {k: atoms.calc.results[k] for k in ("energy", "forces")}
        change(atoms, results)
        atoms.calc = SinglePointCalculator(atoms, **results)
    return frames


def checked(folder: Path, frames: list[Atoms]) -> list[dict[str, Finding]]:
    """Return the findings of `check` and those at the start of `train`, by name."""
    path = str(folder / "made.extxyz")
    write(path, frames, format="extxyz")
    dataset = open_dataset(path, DataConfig(train=""), 4.0, folder / "cache")
    every = survey([path], None, 4.0).findings, quick_findings([dataset], 4.0)
    return [{f.name: f for f in findings} for findings in every]


def turned(_: Atoms, results: dict) -> None:
    results["forces"] = results["forces"] @ TURN


def single_precision(_: Atoms, results: dict) -> None:
    results["energy"] = float(np.float32(results["energy"] - 80_000.0))


def rounded_energy(_: Atoms, results: dict) -> None:
    results["energy"] = round(float(results["energy"]), 2)


def rounded_positions(atoms: Atoms, _: dict) -> None:
    atoms.positions = np.round(atoms.positions, 2)


def constrained(_: Atoms, results: dict) -> None:
    results["forces"] = np.array(results["forces"])
    results["forces"][:4] = 0.0


CASES = [
    (turned, "net-torque", "error", "net torque"),
    (single_precision, "energy-digits", "warning", "single precision"),
    (rounded_energy, "energy-digits", "warning", "0.01 eV, 1.1 meV/atom (rounded)"),
    (rounded_positions, "few-digits", "warning", "at most two decimals"),
]


@pytest.mark.parametrize(("change", "name", "severity", "words"), CASES)
def test_silent_faults_of_molecules_are_findings_of_check_and_train(
    tmp_path: Path, change: Callable, name: str, severity: str, words: str
) -> None:
    for findings in checked(tmp_path, changed(change)):
        assert findings[name].severity == severity
        assert words in findings[name].message


@pytest.mark.parametrize("change", [lambda *_: None, constrained])
def test_right_and_constrained_molecules_have_no_such_finding(
    tmp_path: Path, change: Callable
) -> None:
    for findings in checked(tmp_path, changed(change)):
        assert not findings.keys() & {name for _, name, _, _ in CASES}


@pytest.mark.parametrize(("vacuum", "found"), [(0.0, True), (6.0, False)])
def test_bulk_that_is_not_periodic_is_a_warning_and_a_cluster_in_a_box_is_not(
    tmp_path: Path, vacuum: float, found: bool
) -> None:
    frames = []
    for i in range(4):
        atoms = bulk("Cu", cubic=True) * 2
        atoms.rattle(0.05, seed=i)
        if vacuum:
            atoms.center(vacuum=vacuum)
        atoms.pbc = False
        atoms.calc = SinglePointCalculator(atoms, energy=float(i))
        frames.append(atoms)
    for findings in checked(tmp_path, frames):
        assert ("lattice-not-used" in findings) == found
        assert "net-torque" not in findings
