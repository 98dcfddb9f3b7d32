"""A data set that grows reads its new files alone; the rest is copied, byte for byte."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from reann import strict_json
from reann.config import DataConfig, Keys, Source, Units
from reann.data.cache import build, pieces
from reann.data.cache.sources import Opening
from reann.data.dataset import Dataset, open_dataset, open_sources
from reann.data.labels.census import KeyCounts
from reann.data.labels.keys import KeyCensus
from reann.data.split import split
from reann.errors import UserError

CUTOFF = 3.0


def structures(n: int, seed: int, element: str = "O", **extra: Any) -> list[ase.Atoms]:
    random = np.random.default_rng(seed)
    made = []
    for number in range(n):
        n_atoms = 2 + number % 3
        atoms = ase.Atoms(
            f"{element}H{n_atoms - 1}",
            positions=random.uniform(0, 3, size=(n_atoms, 3)),
            cell=np.diag([4.0, 4.5, 5.0]) * random.uniform(0.9, 1.1),
            pbc=bool(number % 2),
        )
        atoms.info |= {"config_type": f"{element}{number % 2}", "kind": "odd", **extra}
        results = {"energy": random.normal(), "forces": random.normal(size=(n_atoms, 3))}
        atoms.calc = SinglePointCalculator(atoms, **results)
        made.append(atoms)
    return made


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Return three files with different elements, groups, stated units and conditions."""
    kinds = [("a", "O", {}), ("b", "C", {"charge": 1, "my_energy_like": -5.5}), ("c", "N", {})]
    names = []
    for number, (name, element, extra) in enumerate(kinds):
        made = structures(5, number, element, **extra)
        if name == "c":
            made[2].info["length_unit"] = "nm"
            made[3].info["config_weight"] = 300.0
        ase.io.write(tmp_path / f"{name}.xyz", made, format="extxyz")
        names.append(str(tmp_path / f"{name}.xyz"))
    return names


@pytest.fixture
def was_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of each file whose structures are read for a cache."""
    names: list[str] = []
    extract = build.extract

    def noting(atoms: ase.Atoms, keys: Any, data: Any, origin: str) -> Any:
        name = Path(origin.rpartition("#")[0]).name
        if not names or names[-1] != name:
            names.append(name)
        return extract(atoms, keys, data, origin)

    monkeypatch.setattr(build, "extract", noting)
    return names


def opened(files: list[str], cache: Path, **fields: Any) -> Dataset:
    return open_dataset(files, DataConfig(train=files, **fields), CUTOFF, cache)


def no_files(files: list[str]) -> Dataset:
    raise AssertionError(files)


def content(cache: Path, n_structures: int) -> dict[str, bytes]:
    """Return the files of the cache that has so many structures."""
    for folder in cache.iterdir():
        if (folder / "weight.raw").stat().st_size == 8 * n_structures:
            return {file.name: file.read_bytes() for file in folder.iterdir()}
    raise AssertionError


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_a_grown_cache_is_that_of_all_files_read_anew(files, order, was_read, tmp_path):
    chosen = [files[i] for i in order]
    grown = tmp_path / "grown"
    for n in range(1, len(chosen) + 1):
        dataset = opened(chosen[:n], grown)
    assert sorted(was_read) == ["a.xyz", "b.xyz", "c.xyz"]  # each once
    anew = opened(chosen, tmp_path / "anew")
    assert content(grown, len(anew)) == content(tmp_path / "anew", len(anew))
    assert dataset.notes == anew.notes
    assert dataset.keys == anew.keys


def test_a_smaller_data_set_is_a_piece_of_a_larger_one(files, was_read, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "CHUNK", 1000)  # several blocks for each file
    opened(files, tmp_path / "cache")
    was_read.clear()
    opened([files[2]], tmp_path / "cache")
    assert was_read == []
    opened([files[2]], tmp_path / "anew")
    assert content(tmp_path / "cache", 5) == content(tmp_path / "anew", 5)


def test_a_new_frame_reads_its_file_alone(files, was_read, tmp_path):
    opened(files, tmp_path / "cache")
    was_read.clear()
    ase.io.write(files[1], structures(1, 9), format="extxyz", append=True)
    assert len(opened(files, tmp_path / "cache")) == 16
    assert was_read == ["b.xyz"]


def test_a_file_that_moved_has_its_new_name_in_notes_and_origins(files, tmp_path, was_read):
    opened(files, tmp_path / "cache", keys=Keys(head="kind"))
    was_read.clear()
    moved = str(tmp_path / "moved.xyz")
    Path(files[1]).rename(moved)
    dataset = opened([moved, files[0]], tmp_path / "cache", keys=Keys(head="kind"))
    assert was_read == []
    assert dataset.origin(0) == f"{moved}#0"
    with pytest.raises(UserError, match="head 'odd'") as caught:
        dataset.assign_heads(["even", "other"])
    assert caught.value.where == f"{moved}#0"


@pytest.mark.parametrize(
    "changed",
    [
        {"units": Units(energy="meV")},
        {"keys": Keys(energy=None)},
        {"missing": "allow"},
        {"ignore_forces_of": "constrained"},
    ],
)
def test_other_settings_read_a_file_again(files, was_read, tmp_path, changed):
    opened(files[:1], tmp_path / "cache")
    was_read.clear()
    opened(files[:2], tmp_path / "cache", **changed)
    assert was_read == ["a.xyz", "b.xyz"]


def test_a_label_of_the_new_file_alone_is_missing_in_the_others(files, was_read, tmp_path):
    with_stress = structures(4, 7)
    for atoms in with_stress:
        atoms.pbc = True
        atoms.calc.results["stress"] = np.arange(6.0)
    ase.io.write(tmp_path / "s.xyz", with_stress, format="extxyz")
    every = [*files, str(tmp_path / "s.xyz")]
    opened(files, tmp_path / "cache", missing="allow")
    was_read.clear()
    dataset = opened(every, tmp_path / "cache", missing="allow")
    assert was_read == ["s.xyz"]
    assert (
        np.isfinite(dataset.label("stress")).all(axis=(1, 2)).tolist() == [False] * 15 + [True] * 4
    )
    anew = opened(every, tmp_path / "anew", missing="allow")
    assert content(tmp_path / "cache", 19) == content(tmp_path / "anew", 19)
    assert dataset.keys == anew.keys


def test_a_missing_label_is_an_error_whatever_the_cache_has(files, tmp_path):
    bare = structures(2, 3)
    for atoms in bare:
        atoms.calc.results.pop("energy")
    ase.io.write(tmp_path / "bare.xyz", bare, format="extxyz")
    every = [*files, str(tmp_path / "bare.xyz")]
    messages = []
    for cache in ("cache", "anew"):
        if cache == "cache":
            opened(files, tmp_path / cache)
            opened(every[-1:], tmp_path / cache)
        with pytest.raises(UserError, match="missing in 2 of 17") as caught:
            opened(every, tmp_path / cache)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("name", ["positions.raw", "index.json", "pieces.json"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_a_damaged_cache_of_other_files_is_said_and_not_copied(
    files, was_read, tmp_path, name, harm
):
    opened(files[:1], tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    if harm == "remove":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(raw if harm == "flip" else raw[:-3])
    was_read.clear()
    dataset = opened(files[:2], tmp_path / "cache")
    assert was_read == ["a.xyz", "b.xyz"]
    said = any("is damaged" in note and "are read again" in note for note in dataset.notes)
    assert said == ((name, harm) != ("pieces.json", "remove"))  # as a cache of an earlier version
    opened(files[:2], tmp_path / "anew")
    assert content(tmp_path / "cache", 10) == content(tmp_path / "anew", 10)


def test_a_cache_truncated_while_it_is_copied_is_an_error_not_a_crash(files, tmp_path, monkeypatch):
    opened(files[:1], tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()

    def truncating(cuts: list[int]) -> Any:
        os.truncate(folder / "positions.raw", 0)
        return pairwise(cuts)

    monkeypatch.setattr(pieces, "pairwise", truncating)
    with pytest.raises(UserError, match="truncated while it was in use"):
        opened(files[:2], tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_counts_of_files_add_up_to_those_of_all_structures():
    made = [structures(4, seed, charge=seed, pot=-30.0 - seed) for seed in range(3)]
    together, merged = KeyCensus(), KeyCensus()
    for number, some in enumerate(made):
        part = KeyCounts()
        for frame, atoms in enumerate(some):
            atoms.info["config_energy_weight"] = float(frame)
            together.add(atoms, f"{number}.xyz#{frame}")
            part.add(atoms, f"old.xyz#{frame}")
        merged.merge(json.loads(strict_json.dumps(part.state())), f"{number}.xyz")
    assert merged.resolve(DataConfig(train="")) == together.resolve(DataConfig(train=""))
    one, other = merged.state(), together.state()
    for sums, expected in zip(one.pop("unclaimed"), other.pop("unclaimed"), strict=True):
        for name, value in expected.items():
            number = isinstance(value, float)
            assert sums[name] == (pytest.approx(value, nan_ok=True) if number else value), name
    assert json.dumps(one) == json.dumps(other)


# --- data sets that grow ----------------------------------------------------------------------


def test_an_extended_data_set_keeps_the_validation_and_test_sets(tmp_path):
    names = []
    for number in range(3):
        names.append(str(tmp_path / f"{number}.xyz"))
        ase.io.write(names[-1], structures(40, number), format="extxyz")
    data = DataConfig(train=names[0], valid=0.2, test=0.2)
    dataset = open_dataset(names[0], data, CUTOFF, tmp_path / "cache")
    before = split(dataset, data, 1, no_files)
    for more in names[1:]:
        dataset = dataset.extended(more)
        after = split(dataset, data, 1, no_files)
        for name, part in before.items():
            kept = set(part.indices.tolist())
            assert kept <= set(after[name].indices.tolist()), name
            assert len(after[name]) > len(part)
        before = after
    assert [Path(name).name for name, _ in dataset.files] == ["0.xyz", "1.xyz", "2.xyz"]
    together = open_dataset(names, data, CUTOFF, tmp_path / "anew")
    assert np.array_equal(dataset.label("energy"), together.label("energy"))
    assert np.array_equal(dataset.fingerprints, together.fingerprints)


def test_an_extended_data_set_takes_a_source_with_units_and_a_head_of_its_own(files, tmp_path):
    data = DataConfig(sources=[Source(files=files[0], head="pbe")])
    dataset = open_sources(Opening(data.all_sources(), data, CUTOFF, tmp_path / "cache"))
    dataset.assign_heads(["ccsd", "pbe"])
    own = Source(files=files[1], units=Units(energy="meV"), weight=3.0, head="ccsd")
    more, plain = dataset.extended(own), dataset.extended(files[1])
    assert np.allclose(more.label("energy")[5:], 1e-3 * plain.label("energy")[5:])
    assert more.graph([0, 5]).labels["weight"].tolist() == [1.0, 3.0]
    assert more.head.tolist() == [1] * 5 + [0] * 5
    assert plain.head.tolist() == [1] * 10
