"""Born effective charges as labels: read from files, checked, and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

import reann
from data_files import opened, written
from reann.config import Config, DataConfig, Keys, ModelConfig, Units
from reann.data.check import survey
from reann.data.dataset import open_dataset
from reann.errors import UserError
from reann.model import build
from reann.quantities import BORN

pytestmark = pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")
LENGTH, COUPLING = 0.96, np.array([[0.5, 0.2], [0.2, 0.5]])
"""Å, and the changes of the charges of H with the lengths of both bonds, e/Å."""
SMALL = {"channels": 6, "l_max": 2, "cutoff": 4.0}


def flux(positions: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a dipole in e Å, of charges that both bonds change, and its derivatives in e."""
    bonds = positions[1:] - positions[0]
    lengths = np.linalg.norm(bonds, axis=1)
    charges = 0.4 + COUPLING @ (lengths - LENGTH)
    units = bonds / lengths[:, None]
    of_bonds = charges[:, None, None] * np.eye(3) + np.einsum(
        "ij,ib,ja->jba", COUPLING, bonds, units
    )
    return charges @ bonds, np.concatenate([-of_bonds.sum(0, keepdims=True), of_bonds])


def waters(n: int, key: str = BORN) -> list[ase.Atoms]:
    rng, frames = np.random.default_rng(1), []
    for _ in range(n):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(size=(3, 3), scale=0.05)
        mu, born = flux(atoms.positions)
        bonds = atoms.positions[1:] - atoms.positions[0]
        lengths = np.linalg.norm(bonds, axis=1)
        pull = 20.0 * (1.0 - LENGTH / lengths)[:, None] * bonds
        forces = np.concatenate([pull.sum(0, keepdims=True), -pull])
        energy = 10.0 * float(((lengths - LENGTH) ** 2).sum())
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        atoms.info["dipole"] = mu
        atoms.arrays[key] = born.reshape(3, 9)
        frames.append(atoms)
    return frames


def test_the_labels_are_derivatives_of_the_dipole() -> None:
    atoms, h = waters(1)[0], 1e-5
    born = atoms.arrays[BORN].reshape(3, 3, 3)
    for i, a in np.ndindex(3, 3):
        moved = [atoms.positions.copy() for _ in range(2)]
        moved[0][i, a] += h
        moved[1][i, a] -= h
        slope = (flux(moved[0])[0] - flux(moved[1])[0]) / (2.0 * h)
        np.testing.assert_allclose(born[i, :, a], slope, atol=1e-8)


def test_nine_numbers_of_an_atom_are_read_row_by_row(tmp_path: Path) -> None:
    frames = waters(4, "zstar")
    labels = opened(written(frames, tmp_path), **{BORN: "zstar"}).graph([0, 1, 2, 3]).labels[BORN]
    expected = np.concatenate([atoms.arrays["zstar"].reshape(3, 3, 3) for atoms in frames])
    np.testing.assert_allclose(labels, expected, atol=1e-7)
    assert np.abs(expected - expected.swapaxes(1, 2)).max() > 0.01  # the order of indices counts


def test_their_unit_does_not_depend_on_those_of_energies_and_lengths(tmp_path: Path) -> None:
    path = written(waters(4), tmp_path)
    units = Units(energy="Hartree", length="Bohr")
    data = DataConfig(train=str(path), keys=Keys.model_validate({BORN: BORN}), units=units)
    found = open_dataset(str(path), data, 4.0, tmp_path / "cache").graph([0]).labels[BORN]
    expected = waters(1)[0].arrays[BORN].reshape(3, 3, 3)
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("error", "charge", "is_reported"),
    [(0.0, 0.0, False), (0.03, 0.0, False), (0.3, 0.0, True), (1.0, 1.0, False), (0.0, 1.0, True)],
)
def test_a_check_adds_them_up(
    tmp_path: Path, error: float, charge: float, is_reported: bool
) -> None:
    frames = waters(4)
    frames[1].arrays[BORN][0, [0, 4, 8]] += error  # e
    for atoms in frames[1:2] if charge else []:
        atoms.info["charge"] = charge
    path = written(frames, tmp_path)
    data = DataConfig(train=str(path), keys=Keys.model_validate({BORN: BORN}))
    findings = [f for f in survey([str(path)], data, 4.0).findings if f.name == "born-charges-sum"]
    assert [f.count for f in findings] == ([1] if is_reported else [])


@pytest.mark.parametrize("value", [np.ones((3, 6)), np.ones((3, 3)), np.ones(3)])
def test_other_shapes_are_errors(tmp_path: Path, value: NDArray[np.float64]) -> None:
    frames = waters(4)
    frames[2].arrays[BORN] = value
    with pytest.raises(UserError, match=rf"shape of '{BORN}'.*expected \(3, 3, 3\) or \(3, 9\)"):
        opened(written(frames, tmp_path), **{BORN: BORN})


@pytest.mark.parametrize(
    "settings",
    [
        {"outputs": [BORN]},
        {"outputs": ["dipole", BORN]},
        {"outputs": [BORN], "field": True},
        {"outputs": [BORN], "preset": "fast"},
    ],
)
def test_a_model_is_trained_on_them(tmp_path: Path, settings: dict[str, Any]) -> None:
    values = {
        "data": {"train": str(written(waters(40), tmp_path)), "valid": 0.2},
        "model": {"cutoff": 4.0, **({} if "preset" in settings else SMALL), **settings},
        "training": {"batch_size": 8, "epochs": 20},
        "run": {"folder": str(tmp_path / "run"), "threads": 1},
    }
    run = reann.train(Config.model_validate(values))
    errors = run.evaluations["valid"].summary()
    assert errors[f"{BORN}_rmse_me"] < 80.0
    evaluation = reann.evaluate(tmp_path / "run", [str(tmp_path / "water.xyz")])
    assert evaluation.as_json()[f"{BORN}_mae_me"] < 80.0


def test_they_are_predicted_by_default_only_if_the_model_is_trained_on_them() -> None:
    for outputs, is_there in ((["dipole"], False), (["dipole", BORN], True), ([BORN], True)):
        model = build(ModelConfig(**SMALL, outputs=outputs), [1, 8], 10.0, seed=0)
        potential = reann.Potential(model)
        assert (BORN in potential.labels) == is_there
        assert "dipole" in potential.labels
