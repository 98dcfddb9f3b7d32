"""Dipoles of one geometry in several fields are compared with the energies."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.build import molecule

from reann.config import Config, DataConfig
from reann.data.check import survey
from reann.data.check.quick import check_at_start
from reann.data.dataset import open_dataset
from reann.errors import UserError

ALPHA = np.diag([0.2, 0.1, 0.15])


def frames(factor: float = 1.0, *, with_field: bool = True) -> list[ase.Atoms]:
    """Return two geometries in five fields each; dipoles are multiplied by the factor."""
    made = []
    for seed in range(2):
        atoms = molecule("H2O")
        atoms.rattle(0.05, seed=seed)
        mu = np.array([0.1, 0.2 + seed, 0.3])
        for size in np.linspace(0.0, 0.4, 5):
            F = size * np.array([0.6, 0.0, 0.8])
            one = atoms.copy()
            energy = -10.0 + 0.1 * seed - with_field * (mu @ F + 0.5 * F @ ALPHA @ F)
            one.info |= {"energy": energy, "field": F, "dipole": factor * (mu + ALPHA @ F)}
            made.append(one)
    return made


def found(tmp_path: Path, *args, **kwargs) -> dict[str, str]:
    file = tmp_path / "data.xyz"
    ase.io.write(file, frames(*args, **kwargs), format="extxyz")
    data = DataConfig(train=str(file), keys={"dipole": "dipole"})
    return {f.name: f"{f.severity}: {f.message}" for f in survey([str(file)], data, 5.0).findings}


def test_right_dipoles_agree(tmp_path):
    assert "factor 1.000 in 8 pairs" in found(tmp_path)["dipoles-agree"]


def test_the_opposite_sign_is_an_error(tmp_path):
    assert found(tmp_path, -1.0)["dipole-sign"].startswith("error: the dipoles have the opposite")


def test_another_unit_is_an_error_with_its_factor(tmp_path):
    message = found(tmp_path, 4.803)["dipoles-disagree"]
    assert message.startswith("error")
    assert "0.208 times the change expected" in message


def test_energies_without_the_field_are_a_warning_or_an_error(tmp_path):
    assert "dipoles-disagree" in found(tmp_path, with_field=False)


def test_a_training_stops_at_the_opposite_sign_unless_it_is_accepted_or_resumed(tmp_path):
    file = tmp_path / "data.xyz"
    ase.io.write(file, frames(-1.0), format="extxyz")
    model = {"field": True, "outputs": ["dipole"]}
    config = Config(data={"train": str(file), "missing": "allow"}, model=model)
    dataset = open_dataset([str(file)], config.data, 5.0, tmp_path / "cache")
    with pytest.raises(UserError, match="opposite sign of -dE/dF"):
        check_at_start([dataset], 5.0, [], print)
    check_at_start([dataset], 5.0, ["dipole-sign"], print)
    assert "dipole-sign" in check_at_start([dataset], 5.0, [], print, stops=False)
