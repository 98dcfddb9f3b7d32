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
from reann.data.fingerprint import stored_part
from reann.data.split import NONE_LEARNED, known_structures, load_split, save_split, split
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
    ase.io.write(folder / "many.traj", structures(400))
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


def parts_of(folder, seed=1, train="train.traj", learned=NONE_LEARNED, **fields):
    open_files = opener(folder)
    return split(open_files([train]), DataConfig(train=train, **fields), seed, open_files, learned)


def indices_of(parts):
    return {name: part.indices.tolist() for name, part in parts.items()}


def error_of(folder, **fields):
    with pytest.raises(UserError) as info:
        parts_of(folder, **fields)
    return info.value


@given(valid=st.floats(0.01, 0.4), test=st.floats(0.01, 0.4), seed=st.integers(0, 1000))
def test_fractions_leave_the_rest_for_training_and_no_part_is_empty(folder, valid, test, seed):
    parts = indices_of(parts_of(folder, seed, valid=valid, test=test))
    assert sorted(parts["train"] + parts["valid"] + parts["test"]) == list(range(20))
    assert all(parts.values())


def test_a_fraction_is_that_of_many_structures(folder):
    parts = parts_of(folder, train="many.traj", valid=0.2, test=0.1)
    sizes = {name: len(part) / 400 for name, part in parts.items()}
    assert sizes == pytest.approx({"train": 0.7, "valid": 0.2, "test": 0.1}, abs=0.05)


@given(valid=st.floats(0.05, 0.4), test=st.floats(0.01, 0.4), seed=st.integers(0, 1000))
def test_a_test_set_does_not_move_the_validation_set(folder, valid, test, seed):
    alone, both = (
        parts_of(folder, seed, valid=valid),
        parts_of(folder, seed, valid=valid, test=test),
    )
    assert indices_of(both)["valid"] == indices_of(alone)["valid"]


@given(seed=st.integers(0, 1000), valid=st.floats(0.1, 0.4))
def test_no_structure_changes_sides_when_the_data_grow(folder, seed, valid):
    small = sides(parts_of(folder, seed, train="train.traj", valid=valid, test=0.1))
    large = sides(parts_of(folder, seed, train="many.traj", valid=valid, test=0.1))
    moved = {(small[one], large[one]) for one in small if small[one] != large[one]}
    # The nearest structure stands in for a part that would be empty, until the part has its own.
    substitutes = {(name, "train") for name in ("valid", "test")} | {("test", "valid")}
    assert moved <= substitutes
    for name in {before for before, _ in moved}:
        assert list(small.values()).count(name) == 1


def sides(parts):
    return {int(f): name for name, part in parts.items() for f in part.fingerprints}


@pytest.mark.parametrize("change", ["order", "labels", "names", "twice", "files"])
@pytest.mark.parametrize("fields", [{"valid": 0.3, "test": 0.2}, {"valid": {"groups": 0.4}}])
def test_sides_do_not_depend_on_what_is_no_geometry(folder, tmp_path, change, fields):
    frames = structures()
    if change == "order":
        frames = [frames[i] for i in np.random.default_rng(0).permutation(20)]
    elif change == "labels":
        for atoms in frames:
            atoms.calc = SinglePointCalculator(atoms, energy=-7.0, forces=np.ones((2, 3)))
    elif change == "twice":
        frames = [atoms for atoms in frames for _ in range(2)]
    pieces = [frames[:7], frames[7:]] if change == "files" else [frames]
    names = [tmp_path / f"{change}{i}.traj" for i in range(len(pieces))]
    for name, piece in zip(names, pieces, strict=True):
        ase.io.write(name, piece)
    data = DataConfig(train="", **fields)
    found = split(
        open_dataset([str(n) for n in names], data, 3.0, tmp_path), data, 1, opener(folder)
    )
    assert sides(found) == sides(parts_of(folder, **fields))


def test_learned_structures_are_drawn_for_no_part(folder):
    alone = parts_of(folder, valid=0.4, test=0.3)
    learned = stored_part(alone["valid"].fingerprints[::2])
    parts = parts_of(folder, learned=learned, valid=0.4, test=0.3)
    known = set(alone["valid"].indices[::2].tolist())
    assert known <= set(parts["train"].indices.tolist())
    assert set(alone["valid"].indices.tolist()) - known == set(parts["valid"].indices.tolist())
    assert indices_of(parts)["test"] == indices_of(alone)["test"]


def test_a_group_with_a_learned_structure_is_drawn_for_no_part(folder):
    alone = parts_of(folder, valid={"groups": 0.3})
    learned = stored_part(alone["valid"].fingerprints[:1])
    parts = parts_of(folder, learned=learned, valid={"groups": 0.3})
    assert not set(parts["valid"].indices) & set(alone["valid"].indices)


@pytest.mark.parametrize("fields", [{"valid": 0.1}, {"valid": {"groups": 0.1}}])
def test_no_structure_that_was_not_learned_is_an_error(folder, fields):
    learned = stored_part(opener(folder)(["train.traj"]).fingerprints)
    error = error_of(folder, learned=learned, **fields)
    assert "are in the training set of the potential" in error.what
    assert "data.valid" in error.fix


def test_validation_structures_that_are_trained_on_are_counted(folder):
    parts = parts_of(folder, valid="other.traj", test=0.2)
    (note,) = known_structures(parts, NONE_LEARNED)
    in_test = sum(i < 7 for i in parts["test"].indices)
    assert note.startswith(f"{7 - in_test} of 7 validation structures are also in the training set")
    assert not known_structures(parts_of(folder, test=0.2), NONE_LEARNED)


def test_structures_that_are_all_alike_are_an_error_that_says_so(folder, tmp_path):
    ase.io.write(folder / "alike.traj", structures(1) * 5)
    error = error_of(folder, train="alike.traj")
    assert "No structure is left for training" in error.what
    assert "the same geometry" in error.fix


def test_one_structure_cannot_be_split(folder):
    ase.io.write(folder / "one.traj", structures(1))
    error = error_of(folder, train="one.traj")
    assert error.what == "No structure is left for training: the only one is in valid."
    assert error.fix == "Add structures."  # another seed would not help


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


@given(seed=st.integers(0, 20))
def test_a_fraction_of_the_groups_is_whole_groups(folder, seed):
    parts = indices_of(parts_of(folder, seed, valid={"groups": 0.1}))
    chosen = {GROUPS[i % 5] for i in parts["valid"]}
    assert chosen
    assert parts["valid"] == [i for i in range(20) if GROUPS[i % 5] in chosen]


def test_given_parts_are_taken_out_before_fractions_are_drawn(folder):
    for seed in range(5):
        parts = indices_of(parts_of(folder, seed, valid=0.5, test={"indices": [0, 1, 2]}))
        assert parts["test"] == [0, 1, 2]
        alone = indices_of(parts_of(folder, seed, valid=0.5))
        assert parts["valid"] == [i for i in alone["valid"] if i > 2]


def test_an_index_out_of_range_is_an_error(folder):
    error = error_of(folder, valid={"indices": [0, 20, -1]})
    assert error.what == "The index 20, -1 is out of range: the data have 20 structures."
    assert error.where == "data.valid.indices"


def test_an_index_given_twice_is_an_error(folder):
    assert "4 appears twice" in error_of(folder, valid={"indices": [4, 4]}).what


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
    assert "leaves no structures for the training set" in error_of(folder, valid=0.7, test=0.3).what
    error = error_of(folder, valid={"groups": 0.5}, test={"groups": 0.5})
    assert "leaves no groups for the training set" in error.what
    error = error_of(folder, valid={"indices": list(range(20))}, test=0.1)
    assert error.what == "No structures are left for test."
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
    loaded = load_split(
        tmp_path / "split.json",
        opener(folder)(["train.traj"]),
        DataConfig(train="train.traj"),
        opener(folder),
    )
    assert indices_of(loaded) == indices_of(parts)
    assert len(loaded["valid"].dataset) == 7


def test_a_split_of_files_that_have_changed_is_an_error(folder, tmp_path):
    save_split(tmp_path / "split.json", parts_of(folder), seed=1)
    with pytest.raises(UserError, match="have changed since the data were split"):
        load_split(
            tmp_path / "split.json",
            opener(folder)(["bare.traj"]),
            DataConfig(train="bare.traj"),
            opener(folder),
        )


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"parts": {"train": 1}}'])
def test_a_split_that_cannot_be_read_is_an_error(folder, tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read"):
        load_split(
            tmp_path / "split.json",
            opener(folder)(["train.traj"]),
            DataConfig(train="train.traj"),
            opener(folder),
        )


def test_a_split_without_a_training_set_has_none(folder, tmp_path):
    """Which `reann resume` reports."""
    save_split(tmp_path / "split.json", {"valid": parts_of(folder)["valid"]}, seed=1)
    data, train = DataConfig(train="train.traj"), opener(folder)(["train.traj"])
    assert list(load_split(tmp_path / "split.json", train, data, opener(folder))) == ["valid"]


def test_a_subset_has_the_length_of_its_indices(folder):
    parts = parts_of(folder, valid=0.25)
    assert sum(len(part) for part in parts.values()) == 20
    assert np.issubdtype(parts_of(folder)["train"].indices.dtype, np.int64)
