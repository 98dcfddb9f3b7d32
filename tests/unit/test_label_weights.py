"""Weights and masks of other programs: read, or named as not used."""

from __future__ import annotations

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from reann.config import DataConfig
from reann.data.check import survey
from reann.data.dataset import Dataset, open_dataset
from reann.data.labels.extract import extract, resolve_keys

FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])


def crystal(arrays=None, *, labels=("energy", "forces", "stress"), **info) -> ase.Atoms:
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], cell=[4, 5, 6], pbc=True)
    atoms.info |= info
    for name, array in (arrays or {}).items():
        atoms.set_array(name, np.asarray(array))
    every = {"energy": -1.0, "forces": FORCES, "stress": np.ones(6)}
    atoms.calc = SinglePointCalculator(atoms, **{name: every[name] for name in labels})
    return atoms


def opened(folder, *structures: ase.Atoms, **fields) -> Dataset:
    ase.io.write(folder / "a.xyz", structures, format="extxyz")
    data = DataConfig(train=str(folder / "a.xyz"), **fields)
    return open_dataset(str(folder / "a.xyz"), data, 3.0, folder / "cache")


@pytest.mark.parametrize("key", ["Weight", "WEIGHT", "weight", "config_weight", "Config_Weight"])
def test_the_weight_of_a_structure_is_read_in_any_case(tmp_path, key):
    dataset = opened(tmp_path, crystal(**{key: 2.5}), crystal())
    assert dataset.rows("weight", [0, 1]).tolist() == [2.5, 1.0]


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("config_energy_weight", "energy"),
        ("config_forces_weight", "forces"),
        ("config_stress_weight", "stress"),
        ("energy_weight", "energy"),
        ("Force_Weight", "forces"),
    ],
)
def test_a_label_with_a_weight_of_zero_is_missing_without_leave(tmp_path, key, label):
    dataset = opened(tmp_path, crystal(**{key: 0.0}), crystal(**{key: 1.0}))
    assert {"energy": 2, "forces": 2, "stress": 2} | {label: 1} == dataset.keys.counts
    for name in ("energy", "forces", "stress"):
        known = [np.isfinite(dataset.rows(name, [i])).all() for i in range(2)]
        assert known == [name != label, True]
    verb = "are" if label == "forces" else "is"
    assert f"The {label} {verb} ignored in 1 structure, where '{key}' is 0." in dataset.notes


def test_a_virial_with_a_weight_of_zero_is_missing():
    atoms = crystal(labels=("energy",), virial=np.eye(3), config_virials_weight=0.0)
    data = DataConfig(train="a.xyz")
    keys = resolve_keys([atoms, crystal(labels=("energy",), virial=np.eye(3))], data, "a.xyz")
    assert keys.counts["stress"] == 1
    assert np.isnan(extract(atoms, keys, data, "a.xyz#0")["stress"]).all()


def test_a_label_with_a_weight_of_zero_may_be_absent_and_need_not_be_finite(tmp_path):
    absent = crystal(labels=("energy",), config_forces_weight=0.0, config_stress_weight=0)
    wrong = crystal(config_energy_weight=0.0)
    wrong.calc.results["energy"] = np.nan
    dataset = opened(tmp_path, absent, wrong, crystal())
    assert dataset.keys.counts == {"energy": 2, "forces": 2, "stress": 2}


def test_weights_of_labels_that_are_not_zero_are_named_as_not_used():
    samples = [crystal(config_forces_weight=w, config_energy_weight=1.0) for w in (1.0, 50.0)]
    (note,) = resolve_keys(samples, DataConfig(train="a.xyz"), "a.xyz").notes
    assert "Nonzero values of 'config_forces_weight' (1 to 50) are not used" in note
    assert "data.keys.weight" in note


def test_a_column_of_weights_of_the_forces_is_named_as_not_used():
    sample = crystal({"forces_weight": [0.0, 1.0]})
    notes = resolve_keys([sample], DataConfig(train="a.xyz"), "a.xyz").notes
    assert notes == ("Not used: forces_weight.",)


@pytest.mark.parametrize("key", ["energy_sigma", "force_sigma", "virial_sigma"])
def test_deviations_of_gap_are_named_as_not_used(key):
    notes = resolve_keys([crystal(**{key: 0.01})], DataConfig(train="a.xyz"), "a.xyz").notes
    assert notes == (f"Not used: {key}.",)


def test_forces_on_atoms_of_a_mask_are_missing(tmp_path):
    masked = crystal({"force_mask": [True, False]})
    dataset = opened(tmp_path, masked, crystal({"force_mask": [False, False]}))
    finite = np.isfinite(dataset.rows("forces", [0, 1])).all(axis=1)
    assert finite.tolist() == [False, True, True, True]
    assert dataset.notes == [
        "The forces on 1 atom in 1 structure are ignored, where 'force_mask' is true."
    ]


def test_another_mask_that_was_asked_for_replaces_that_of_the_file(tmp_path):
    arrays = {"force_mask": [True, False], "mine": [False, True]}
    dataset = opened(tmp_path, crystal(arrays), ignore_forces_of="mine")
    assert np.isfinite(dataset.rows("forces", [0])).all(axis=1).tolist() == [True, False]
    assert dataset.notes == ["Not used: force_mask."]


def test_a_check_does_not_judge_a_label_with_a_weight_of_zero(tmp_path):
    structures = [crystal(config_energy_weight=float(i % 2)) for i in range(6)]
    for atoms in structures[::2]:
        atoms.calc.results["energy"] = np.nan
    ase.io.write(tmp_path / "a.xyz", structures, format="extxyz")
    result = survey([str(tmp_path / "a.xyz")], None, 3.0)
    assert any("'config_energy_weight' is 0" in note for note in result.notes)
    assert result.files[0].labels["energy"] == 3
    assert not any(finding.name == "mixed-labels" for finding in result.findings)
