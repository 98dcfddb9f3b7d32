"""Parts are what the configuration says, the same for the same seed, and never overlap."""

from __future__ import annotations

import json

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from reann.config import DataConfig
from reann.data.dataset import open_dataset
from reann.data.split import load_split, save_split, split
from reann.errors import UserError

GROUPS = ["liquid", "ice", "gas", "liquid", "ice"]


def structures(n=20, element="H"):
    made = []
    for number in range(n):
        atoms = ase.Atoms(f"{element}2", positions=[[0, 0, 0], [0, 0, 0.7 + 0.01 * number]])
        atoms.info["config_type"] = GROUPS[number % len(GROUPS)]
        atoms.calc = SinglePointCalculator(atoms, energy=float(number))
        made.append(atoms)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    ase.io.write(folder / "train.traj", structures())
    ase.io.write(folder / "other.traj", structures(7))
    ase.io.write(folder / "helium.traj", structures(3, "He"))
    bare = structures(3)
    for atoms in bare:
        del atoms.info["config_type"]
    ase.io.write(folder / "bare.traj", bare)
    return folder


def opener(folder):
    data = DataConfig(train="")
    return lambda files: open_dataset(
        [str(folder / name) for name in files], data, 3.0, folder / "cache"
    )


def parts_of(folder, seed=1, train="train.traj", **fields):
    open_files = opener(folder)
    return split(open_files([train]), DataConfig(train=train, **fields), seed, open_files)


def indices_of(parts):
    return {name: part.indices.tolist() for name, part in parts.items()}


def error_of(folder, **fields):
    with pytest.raises(UserError) as info:
        parts_of(folder, **fields)
    return info.value


@given(valid=st.floats(0.01, 0.45), test=st.floats(0.01, 0.45), seed=st.integers(0, 1000))
def test_fractions_are_drawn_from_all_and_the_rest_trains(folder, valid, test, seed):
    parts = indices_of(parts_of(folder, seed, valid=valid, test=test))
    assert sorted(parts["train"] + parts["valid"] + parts["test"]) == list(range(20))
    assert len(parts["valid"]) == max(1, round(20 * valid))
    assert len(parts["test"]) == max(1, round(20 * test))


def test_the_seed_decides_and_nothing_else(folder):
    first, again, other = (indices_of(parts_of(folder, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first["valid"] != other["valid"]


def test_without_a_test_part_there_is_none(folder):
    assert set(parts_of(folder)) == {"train", "valid"}


def test_a_part_may_have_its_own_files(folder):
    parts = parts_of(folder, valid="other.traj")
    assert len(parts["train"]) == 20
    assert len(parts["valid"]) == 7
    assert parts["valid"].dataset.origin(0).endswith("other.traj#0")


def test_indices_may_stand_in_the_configuration_or_in_a_file(folder):
    (folder / "list.json").write_text("[3, 1]")
    (folder / "list.txt").write_text("3\n1\n")
    for indices in ([3, 1], str(folder / "list.json"), str(folder / "list.txt")):
        parts = indices_of(parts_of(folder, valid={"indices": indices}))
        assert parts["valid"] == [1, 3]
        assert parts["train"] == [0, 2, *range(4, 20)]


def test_groups_are_kept_whole(folder):
    parts = indices_of(parts_of(folder, valid={"groups": ["ice"]}, test={"groups": ["gas"]}))
    assert parts["valid"] == [i for i in range(20) if GROUPS[i % 5] == "ice"]
    assert parts["test"] == [i for i in range(20) if GROUPS[i % 5] == "gas"]


@given(seed=st.integers(0, 100))
def test_a_fraction_of_the_groups_is_whole_groups(folder, seed):
    parts = indices_of(parts_of(folder, seed, valid={"groups": 0.3}))
    chosen = {GROUPS[i % 5] for i in parts["valid"]}
    assert len(chosen) == 1
    assert parts["valid"] == [i for i in range(20) if GROUPS[i % 5] in chosen]


def test_given_parts_are_taken_out_before_fractions_are_drawn(folder):
    for seed in range(5):
        parts = indices_of(parts_of(folder, seed, valid=0.5, test={"indices": [0, 1, 2]}))
        assert parts["test"] == [0, 1, 2]
        assert len(parts["valid"]) == 10
        assert not {0, 1, 2} & set(parts["valid"])


def test_an_index_out_of_range_is_an_error(folder):
    error = error_of(folder, valid={"indices": [0, 20, -1]})
    assert error.what == "The index 20, -1 is out of range: there are 20 structures."
    assert error.where == "data.valid.indices"


def test_an_index_given_twice_is_an_error(folder):
    assert "4 is given twice" in error_of(folder, valid={"indices": [4, 4]}).what


def test_an_empty_list_of_indices_is_an_error(folder):
    assert "empty" in error_of(folder, valid={"indices": []}).what


def test_a_list_of_indices_that_is_none_is_an_error(folder):
    (folder / "bad.txt").write_text("one two")
    error = error_of(folder, valid={"indices": str(folder / "bad.txt")})
    assert "not a list of indices" in error.what
    assert "cannot be read" in error_of(folder, valid={"indices": "nowhere.txt"}).what


def test_a_structure_in_two_parts_is_an_error(folder):
    error = error_of(folder, valid={"indices": [3, 4]}, test={"indices": [4, 5]})
    assert error.what == "Structures 4 are both in valid and in test."


def test_an_unknown_group_is_an_error_with_the_one_that_was_meant(folder):
    error = error_of(folder, valid={"groups": ["licuid"]})
    assert error.what == "There is no group 'licuid'. Did you mean 'liquid'?"
    assert "gas, ice, liquid" in error.fix


def test_groups_without_groups_in_the_data_are_an_error(folder):
    assert "no groups" in error_of(folder, train="bare.traj", valid={"groups": 0.5}).what


def test_nothing_left_for_training_is_an_error(folder):
    assert "left" in error_of(folder, valid=0.5, test=0.5).what
    error = error_of(folder, valid={"groups": ["ice", "gas", "liquid"]})
    assert error.what == "No structure is left for training: all 20 are in valid."


def test_an_element_that_training_does_not_show_is_an_error(folder):
    error = error_of(folder, valid="helium.traj")
    assert error.what == "He is in valid but in no training structure."
    assert error.where.endswith("helium.traj#0")


def test_a_saved_split_comes_back(folder, tmp_path):
    parts = parts_of(folder, valid="other.traj", test=0.2)
    save_split(tmp_path / "split.json", parts, seed=1)
    content = json.loads((tmp_path / "split.json").read_text())
    assert content["seed"] == 1
    assert len(content["parts"]["train"]["files"][0]["sha256"]) == 64
    assert [file.name for file in tmp_path.iterdir()] == ["split.json"]
    loaded = load_split(tmp_path / "split.json", opener(folder)(["train.traj"]), opener(folder))
    assert indices_of(loaded) == indices_of(parts)
    assert len(loaded["valid"].dataset) == 7


def test_a_split_of_files_that_have_changed_is_an_error(folder, tmp_path):
    save_split(tmp_path / "split.json", parts_of(folder), seed=1)
    with pytest.raises(UserError, match="have changed since they were split"):
        load_split(tmp_path / "split.json", opener(folder)(["bare.traj"]), opener(folder))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"parts": {"train": 1}}'])
def test_a_split_that_cannot_be_read_is_an_error(folder, tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read"):
        load_split(tmp_path / "split.json", opener(folder)(["train.traj"]), opener(folder))


def test_a_subset_has_the_length_of_its_indices(folder):
    assert len(parts_of(folder, valid=0.25)["valid"]) == 5
    assert np.issubdtype(parts_of(folder)["train"].indices.dtype, np.int64)
