"""The cache gives back what the files hold, and is rebuilt when it is damaged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from reann.config import DataConfig, Keys, Units
from reann.data.cache import build
from reann.data.cache.storage import ArrayWriter, CacheWriter, DamagedCacheError, open_cache
from reann.data.dataset import open_dataset
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph

CUTOFF = 3.0


def structures(n=6, seed=0):
    """Return crystals, a slab and molecules of several sizes, with all labels."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(n):
        n_atoms = 1 + number % 4
        cell = np.diag([4.0, 4.5, 5.0]) + random.uniform(-0.5, 0.5, size=(3, 3))
        atoms = ase.Atoms(
            numbers=random.choice([1, 6, 8], n_atoms),
            positions=random.uniform(-1, 2, size=(n_atoms, 3)) @ cell,
            cell=cell,
            pbc=[(True,) * 3, (True, True, False), (False,) * 3][number % 3],
        )
        atoms.info["config_type"] = "odd" if number % 2 else "even"
        results = {"energy": random.normal(), "forces": random.normal(size=(n_atoms, 3))}
        if atoms.pbc.all():
            results["stress"] = random.normal(size=6)
        atoms.calc = SinglePointCalculator(atoms, **results)
        made.append(atoms)
    return made


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.traj"
    ase.io.write(path, structures())
    return path


def opened(file, tmp_path, progress=None, cutoff=CUTOFF, **fields):
    data = DataConfig(train=str(file), **fields)
    return open_dataset(str(file), data, cutoff, tmp_path / "cache", progress)


def folders(tmp_path):
    return sorted((tmp_path / "cache").iterdir())


def edges(graph):
    rows = torch.cat([graph.edge_index, graph.edge_shift.T]).T.tolist()
    return sorted(map(tuple, rows))


# --- contents ---------------------------------------------------------------------------------


def test_a_batch_is_the_structures_in_the_order_asked_for(file, tmp_path):
    dataset = opened(file, tmp_path)
    indices = [4, 0, 3, 3]
    batch = dataset.graph(indices)
    made = structures()
    expected = Graph.batch([graph_from_atoms(made[i], CUTOFF) for i in indices])
    for name in ("positions", "atomic_numbers", "system", "cell", "pbc"):
        assert torch.equal(getattr(batch, name), getattr(expected, name)), name
    assert edges(batch) == edges(expected)
    assert batch.n_edges > 0
    assert (torch.diff(batch.edge_index[0]) >= 0).all()
    forces = np.concatenate([made[i].calc.results["forces"] for i in indices])
    assert (batch.labels["forces"].numpy() == forces).all()
    energies = [made[i].calc.results["energy"] for i in indices]
    assert batch.labels["energy"].tolist() == energies
    assert batch.labels["weight"].tolist() == [1.0] * 4
    has_stress = torch.isfinite(batch.labels["stress"]).all(dim=(1, 2)).tolist()
    assert has_stress == [bool(made[i].pbc.all()) for i in indices]


def test_what_a_data_set_says_about_its_structures(file, tmp_path):
    dataset, made = opened(file, tmp_path), structures()
    assert len(dataset) == 6
    assert dataset.origin(2).endswith("a.traj#2")
    assert dataset.elements == sorted({int(z) for atoms in made for z in atoms.numbers})
    assert dataset.n_atoms.tolist() == [len(atoms) for atoms in made]
    assert dataset.groups == ["even", "odd"] * 3
    counts = [[(atoms.numbers == z).sum() for z in dataset.elements] for atoms in made]
    assert dataset.composition().tolist() == counts
    assert [dataset.atoms(i) == made[i] for i in range(6)] == [True] * 6
    assert dataset.label("forces").shape == (sum(map(len, made)), 3)
    assert dataset.has("stress")
    assert not dataset.has("dipole")


def test_a_graph_of_no_structures_is_empty(file, tmp_path):
    graph = opened(file, tmp_path).graph([])
    assert (graph.n_atoms, graph.n_systems, graph.n_edges) == (0, 0, 0)


def test_a_set_of_single_atoms_has_no_edges_and_opens(tmp_path):
    atom = ase.Atoms("H")
    atom.calc = SinglePointCalculator(atom, energy=-13.6)
    ase.io.write(tmp_path / "a.traj", [atom, atom])
    dataset = opened(tmp_path / "a.traj", tmp_path)
    assert dataset.n_edges.tolist() == [0, 0]
    assert dataset.graph([0, 1]).n_edges == 0


def test_lengths_are_converted_before_neighbors_are_found(file, tmp_path):
    dataset = opened(file, tmp_path, units=Units(length="nm"), cutoff=10 * CUTOFF)
    plain = opened(file, tmp_path)
    assert dataset.n_edges.tolist() == plain.n_edges.tolist()
    assert np.allclose(dataset.graph([0]).positions, 10 * plain.graph([0]).positions)
    assert np.allclose(dataset.graph([0]).cell, 10 * plain.graph([0]).cell)


def test_keys_that_only_later_structures_show_are_found(tmp_path):
    made = [*structures(build.N_FIRST + 2), *structures(1, seed=5)]
    for atoms in made[:-1]:
        atoms.calc.results.pop("forces")
    ase.io.write(tmp_path / "a.traj", made)
    dataset = opened(tmp_path / "a.traj", tmp_path, missing="allow")
    assert dataset.keys.counts["forces"] == 1
    forces = dataset.label("forces")
    assert np.isfinite(forces).all(axis=1).tolist() == [False] * (len(forces) - 1) + [True]


def test_coincident_atoms_are_an_error_that_names_the_structure(tmp_path):
    made = structures(3)
    made[1].positions[1] = made[1].positions[0]
    ase.io.write(tmp_path / "a.traj", made)
    with pytest.raises(UserError, match="Atoms 0 and 1 coincide") as info:
        opened(tmp_path / "a.traj", tmp_path)
    assert info.value.where.endswith("a.traj#1")


def test_missing_labels_are_an_error_that_leaves_no_cache(tmp_path):
    made = structures(3)
    made[2].calc.results.pop("energy")
    ase.io.write(tmp_path / "a.traj", made)
    with pytest.raises(UserError, match=r"The energy \('energy'\) is missing in 1 of 3 structures"):
        opened(tmp_path / "a.traj", tmp_path)
    assert folders(tmp_path) == []


def test_zero_forces_on_fixed_atoms_are_reported(tmp_path):
    made = structures(8)[3::4] * 3
    for atoms in made:
        atoms.calc.results["forces"][0] = 0.0
        atoms.set_constraint(FixAtoms([0]))
    ase.io.write(tmp_path / "a.traj", made)
    (note,) = opened(tmp_path / "a.traj", tmp_path).notes
    assert re.search(r"In 6 of 6 structures the forces on some atoms are exactly zero", note)
    assert "constrained" in note
    ignored = opened(tmp_path / "a.traj", tmp_path, ignore_forces_of="constrained")
    assert ignored.notes == []
    assert np.isnan(ignored.label("forces")[0]).all()


# --- the cache itself -------------------------------------------------------------------------


def test_the_second_opening_reads_no_file(file, tmp_path, monkeypatch):
    seen = []
    first = opened(file, tmp_path, lambda done, note: seen.append((done, note)))
    assert [done for done, _ in seen] == [1, 2, 3, 4, 5, 6]
    monkeypatch.setattr(build, "read_file", None)
    second = opened(file, tmp_path, lambda done, note: seen.append((done, note)))
    assert len(seen) == 6
    assert second.keys == first.keys
    assert torch.equal(second.graph([1, 2]).positions, first.graph([1, 2]).positions)


def test_a_file_under_another_name_shares_the_cache_but_not_the_name(file, tmp_path):
    opened(file, tmp_path)
    copy = tmp_path / "b.traj"
    copy.write_bytes(file.read_bytes())
    assert opened(copy, tmp_path).origin(0).endswith("b.traj#0")
    assert len(folders(tmp_path)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"cutoff": 2.5},
        {"units": Units(energy="meV")},
        {"keys": Keys(energy=None)},
        {"missing": "allow"},
        {"ignore_forces_of": "constrained"},
    ],
)
def test_other_settings_have_another_cache(file, tmp_path, changed):
    opened(file, tmp_path)
    opened(file, tmp_path, **changed)
    assert len(folders(tmp_path)) == 2


def test_a_changed_file_is_read_again(file, tmp_path):
    before = opened(file, tmp_path).label("energy")[0]
    ase.io.write(file, structures(seed=1))
    assert opened(file, tmp_path).label("energy")[0] != before


@pytest.mark.parametrize("name", ["positions.raw", "neighbor.raw", "energy.raw", "index.json"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_a_damaged_cache_is_rebuilt_and_reported(file, tmp_path, name, harm):
    intact = opened(file, tmp_path).graph(range(6))
    (folder,) = folders(tmp_path)
    content = bytearray((folder / name).read_bytes())
    if harm == "remove":
        (folder / name).unlink()
    elif harm == "truncate":
        (folder / name).write_bytes(content[:-3])
    else:
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
    dataset = opened(file, tmp_path)
    assert any("damaged" in note for note in dataset.notes)
    rebuilt = dataset.graph(range(6))
    assert torch.equal(rebuilt.positions, intact.positions)
    assert torch.equal(rebuilt.edge_index, intact.edge_index)
    assert opened(file, tmp_path).notes == []


def test_a_building_that_fails_leaves_nothing_behind(tmp_path):
    def build_and_fail():
        with CacheWriter(tmp_path / "cache" / "key", {"a": ((), ("<f8",))}) as writer:
            writer.append(a=np.zeros(3))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        build_and_fail()
    assert folders(tmp_path) == []


def test_of_two_builders_of_one_cache_the_second_yields(tmp_path):
    folder, arrays = tmp_path / "cache" / "key", {"a": ((), ("<f8",))}
    with CacheWriter(folder, arrays) as slow, CacheWriter(folder, arrays) as fast:
        for writer in (fast, slow):
            writer.append(a=np.arange(3.0))
            writer.finish({})
    assert open_cache(folder)[0]["a"].tolist() == [0.0, 1.0, 2.0]
    assert folders(tmp_path) == [folder]


def test_a_cache_that_cannot_be_written_is_a_user_error(file, tmp_path):
    (tmp_path / "cache").write_text("a file in the place of the folder")
    with pytest.raises(UserError, match="cannot be written") as info:
        opened(file, tmp_path)
    assert "data.cache" in info.value.fix


def test_an_absent_cache_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_cache(tmp_path / "nothing")
    (tmp_path / "index.json").write_text(json.dumps({"crc32": 0, "index": "{}"}))
    with pytest.raises(DamagedCacheError):
        open_cache(tmp_path)


def test_integers_take_the_smallest_type_that_holds_them(tmp_path):
    pieces = [np.array([1, 2, 250]), np.array([300]), np.array([], dtype=np.int64), np.array([7])]
    writer = ArrayWriter(tmp_path / "a.raw", (), ("u1", "<u2", "<u4"))
    for piece in pieces:
        writer.append(piece)
    entry = writer.close()
    assert (entry["dtype"], entry["shape"]) == ("<u2", [5])
    stored = np.fromfile(tmp_path / "a.raw", dtype="<u2")
    assert stored.tolist() == [1, 2, 250, 300, 7]


def test_shifts_of_atoms_far_outside_the_cell_are_kept(tmp_path):
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [4000.9, 0, 0]], cell=[4, 4, 4], pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    ase.io.write(tmp_path / "a.traj", atoms)
    graph = opened(tmp_path / "a.traj", tmp_path).graph([0])
    assert graph.edge_shift.abs().max() == 1000
    assert graph.edge_vectors().norm(dim=1).max() < CUTOFF


def test_bytes_per_edge_are_few(tmp_path):
    random = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), axis=-1).reshape(-1, 3) * 2.0
    atoms = ase.Atoms("H125", positions=grid + random.normal(scale=0.1, size=grid.shape))
    atoms.set_cell([10, 10, 10])
    atoms.pbc = True
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    ase.io.write(tmp_path / "a.traj", [atoms] * 4)
    dataset = opened(tmp_path / "a.traj", tmp_path, cutoff=5.0)
    (folder,) = folders(tmp_path)
    size = sum(Path(folder / f"{name}.raw").stat().st_size for name in ("neighbor", "shift"))
    assert size == 4 * dataset.n_edges.sum()
