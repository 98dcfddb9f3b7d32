"""The neighbor list equals brute force for every cell, and impossible geometry is refused."""

from __future__ import annotations

import itertools

import ase
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from reann.data import cell_list as module
from reann.data.cell_list import Grid, cell_list
from reann.data.neighbors import (
    SMALL_MOLECULE,
    graph_from_atoms,
    library_list,
    neighbor_list,
)
from reann.errors import UserError


def brute_force(positions, cell, pbc, cutoff):
    """Return the set of (center, neighbor, shifts) from all images that could be near."""
    lattice = np.where(np.asarray(pbc)[:, None], cell, 0.0)
    inverse = np.linalg.pinv(lattice)
    reach = np.zeros(3, dtype=int)
    for axis in np.flatnonzero(pbc):
        spread = np.ptp(positions @ inverse[:, axis])
        reach[axis] = int(np.ceil(cutoff * np.linalg.norm(inverse[:, axis]) + spread)) + 1
    shifts = np.array(list(itertools.product(*[range(-n, n + 1) for n in reach])))
    found = set()
    for i, j in itertools.product(range(len(positions)), repeat=2):
        vectors = positions[j] - positions[i] + shifts @ lattice
        for shift in shifts[np.linalg.norm(vectors, axis=1) < cutoff]:
            if i != j or shift.any():
                found.add((i, j, *shift.tolist()))
    return found


def by_torch(positions, cell, pbc, cutoff):
    """Return the list of `cell_list` as the other ones return it."""
    grid = Grid.of(cell, pbc, cutoff)
    system = torch.zeros(len(positions), dtype=torch.int64)
    first, neighbor, shift = (x.numpy() for x in cell_list(torch.tensor(positions), system, grid))
    center = np.repeat(np.arange(len(positions)), np.diff(first))
    return center, neighbor.astype(np.int64), shift


LISTS = (neighbor_list, library_list, by_torch)


def as_set(edges):
    center, neighbor, shift = edges
    rows = list(zip(center.tolist(), neighbor.tolist(), *shift.T.tolist(), strict=True))
    assert len(rows) == len(set(rows)), "an edge is listed twice"
    return set(rows)


CELLS = {
    "triclinic": lambda r: r.normal(scale=3, size=(3, 3)),
    "thin slab": lambda r: np.diag([7.0, 7.0, 1.3])[r.permutation(3)],
    "orthorhombic, any sign": lambda r: np.diag(r.uniform(1.2, 7, 3) * r.choice([-1, 1], 3)),
    "skewed by whole cells": lambda r: 4 * np.eye(3) + r.integers(-3, 4, size=(3, 3)),
}


@settings(max_examples=100)
@given(
    kind=st.sampled_from(sorted(CELLS)),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    n_atoms=st.integers(1, 6),
    cutoff=st.floats(1.5, 4.5),
    spread=st.sampled_from([1.0, 5.0]),
    dummy=st.sampled_from(["as given", "zero", "tiny", "huge"]),
    mirror=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_neighbors_are_those_of_brute_force(
    *, kind, pbc, n_atoms, cutoff, spread, dummy, mirror, seed
):
    random = np.random.default_rng(seed)
    cell = CELLS[kind](random) * (-1 if mirror else 1)
    assume(abs(np.linalg.det(cell)) > 5)
    positions = random.uniform(-spread, spread, size=(n_atoms, 3)) @ cell
    replaced = {"as given": 1.0, "zero": 0.0, "tiny": 1e-3, "huge": 1e3}[dummy]
    cell = np.where(np.array(pbc)[:, None], cell, cell * replaced)
    expected = brute_force(positions, cell, pbc, cutoff)
    for find in LISTS:
        edges = find(positions, cell, np.array(pbc), cutoff)
        assert (np.diff(edges[0]) >= 0).all()
        assert [array.dtype for array in edges] == [np.int64, np.int64, np.int32]
        assert as_set(edges) == expected


def test_atoms_on_the_faces_of_the_cell_have_each_neighbor_once():
    cell = np.diag([4.0, 4.0, 4.0])
    positions = np.array([[0, 0, 0], [4, 0, 0], [2, 4, 4], [-8, 2, 2]], dtype=float)
    positions[1] += [0, 1, 0]
    for pbc in itertools.product([False, True], repeat=3):
        for find in LISTS:
            edges = find(positions, cell, np.array(pbc), 3.3)
            assert as_set(edges) == brute_force(positions, cell, pbc, 3.3)


@pytest.mark.parametrize("n_atoms", [SMALL_MOLECULE, SMALL_MOLECULE + 1])
def test_molecules_of_any_size_have_the_neighbors_of_brute_force(n_atoms):
    positions = np.random.default_rng(2).uniform(0, 8, size=(n_atoms, 3))
    for find in LISTS:
        edges = find(positions, np.zeros((3, 3)), np.zeros(3, dtype=bool), 2.5)
        assert as_set(edges) == brute_force(positions, np.zeros((3, 3)), [False] * 3, 2.5)


def test_one_atom_is_its_own_neighbor_only_in_other_cells():
    center, neighbor, shift = neighbor_list(
        np.zeros((1, 3)), 2.0 * np.eye(3), np.ones(3, dtype=bool), 2.5
    )
    assert len(center) == 6
    assert (center == neighbor).all()
    assert (np.abs(shift).sum(axis=1) == 1).all()


def test_one_atom_alone_has_no_neighbor():
    graph = graph_from_atoms(ase.Atoms("H"), 5.0)
    assert (graph.n_atoms, graph.n_edges) == (1, 0)


@pytest.mark.parametrize("far", [1e4, 1e8, 1e12])
def test_an_atom_that_flew_away_changes_nothing_for_the_others(far):
    near = np.random.default_rng(3).uniform(0, 5, size=(70, 3))
    for pbc in ([False] * 3, [False, True, True], [True] * 3):
        flown = np.vstack([near, [[far, 0.3, 0.2]]])
        for find in (neighbor_list, by_torch):
            with_it = find(flown, 6.0 * np.eye(3), np.array(pbc), 3.0)
            inside = (with_it[0] < 70) & (with_it[1] < 70)
            without = find(near, 6.0 * np.eye(3), np.array(pbc), 3.0)
            assert as_set(tuple(a[inside] for a in with_it)) == as_set(without)


def in_box(random, n_atoms, n_systems):
    """Return positions in cells of different shapes and periodicities, and the systems."""
    cells = 6.0 * np.eye(3) + random.uniform(-1.0, 1.0, (n_systems, 3, 3))
    system = np.sort(random.integers(0, n_systems, n_atoms))
    fractions = random.uniform(-1.0, 2.0, (n_atoms, 3))
    positions = np.einsum("al,alx->ax", fractions, cells[system])
    return positions, system, cells, random.integers(0, 2, (n_systems, 3)).astype(bool)


@pytest.mark.parametrize("part", [module.PART, 1])
def test_several_systems_have_their_own_neighbors(part, monkeypatch):
    """Also a system without atoms, and in parts of few pairs."""
    monkeypatch.setattr(module, "PART", part)
    monkeypatch.setattr(module, "BLOCK", 7)
    positions, system, cells, pbc = in_box(np.random.default_rng(1), 40, 6)
    system[system == 2] = 3
    system.sort()
    found = cell_list(torch.tensor(positions), torch.tensor(system), Grid.of(cells, pbc, 3.1))
    first = found.first.numpy()
    assert (first[0], first[-1]) == (0, len(found.neighbor))
    center = np.repeat(np.arange(len(positions)), np.diff(first))
    for s, (cell, periodic) in enumerate(zip(cells, pbc, strict=True)):
        atoms = np.flatnonzero(system == s)
        own = system[center] == s
        if not len(atoms):
            continue
        start = atoms[0]
        edges = center[own] - start, found.neighbor.numpy()[own] - start, found.shift.numpy()[own]
        assert as_set(edges) == brute_force(positions[atoms], cell, periodic, 3.1)


class Questions(TorchDispatchMode):
    """Counts what makes a program wait for a GPU."""

    WAITING = ("nonzero", "_local_scalar_dense", "unique", "masked_select")

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Compute, and count."""
        name = function.name().partition("::")[2].partition(".")[0]
        self.asked += [name] * any(name.startswith(x) for x in self.WAITING)
        return function(*args, **(kwargs or {}))


def test_a_device_is_asked_for_the_number_of_neighbors_once():
    """And for the number of compared pairs, by `tolist`, which dispatches nothing."""
    positions, system, cells, pbc = in_box(np.random.default_rng(1), 40, 6)
    grid = Grid.of(cells, pbc, 3.1)
    with Questions() as questions:
        cell_list(torch.tensor(positions), torch.tensor(system), grid)
    assert questions.asked == ["nonzero"]


def test_edge_vectors_use_the_positions_and_the_cell_as_they_are():
    random = np.random.default_rng(5)
    cell = random.normal(scale=4, size=(3, 3))
    atoms = ase.Atoms("H5", positions=random.uniform(-3, 3, (5, 3)) @ cell, cell=cell, pbc=True)
    before = atoms.positions.copy()
    graph = graph_from_atoms(atoms, 4.0)
    distances = graph.edge_vectors().norm(dim=1)
    assert graph.n_edges > 0
    assert distances.max() < 4.0
    assert (atoms.positions == before).all()
    # Each edge has its reverse.
    center, neighbor = graph.edge_index
    forward = set(
        zip(center.tolist(), neighbor.tolist(), *graph.edge_shift.T.tolist(), strict=True)
    )
    back = set(
        zip(neighbor.tolist(), center.tolist(), *(-graph.edge_shift).T.tolist(), strict=True)
    )
    assert forward == back


def test_a_molecule_with_a_dummy_cell_has_the_neighbors_of_the_molecule():
    water = ase.Atoms("OH2", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    dummy = ase.Atoms(water, cell=[1e-4, 0, 0])
    assert graph_from_atoms(water, 5.0).n_edges == 6
    assert (
        graph_from_atoms(dummy, 5.0).edge_index.tolist()
        == graph_from_atoms(water, 5.0).edge_index.tolist()
    )


def test_coincident_atoms_are_refused_with_indices_and_distance():
    atoms = ase.Atoms("H3", positions=[[0, 0, 0], [1, 0, 0], [1, 0, 1e-5]])
    with pytest.raises(UserError, match=r"Atoms 1 and 2 coincide: their distance is 1\.0e-05 Å"):
        graph_from_atoms(atoms, 5.0)


def test_coincidence_with_an_image_is_seen():
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [4, 0, 0]], cell=[4, 4, 4], pbc=True)
    with pytest.raises(UserError, match="Atoms 0 and 1 coincide"):
        graph_from_atoms(atoms, 5.0)


def test_close_atoms_that_are_not_the_same_are_kept():
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [0.01, 0, 0]])
    assert graph_from_atoms(atoms, 5.0).n_edges == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_that_are_no_numbers_are_refused_with_the_atom(bad):
    atoms = ase.Atoms("H3", positions=[[0, 0, 0], [1, 0, 0], [2, bad, 0]])
    with pytest.raises(UserError, match="position of atom 2 is not finite"):
        graph_from_atoms(atoms, 5.0, "a.xyz#3")


def test_periodicity_without_a_lattice_vector_is_refused():
    atoms = ase.Atoms("H", cell=[3, 3, 0], pbc=[True, True, True])
    with pytest.raises(
        UserError, match="periodic along c, but that lattice vector is zero"
    ) as info:
        graph_from_atoms(atoms, 5.0, "a.xyz#3")
    assert info.value.where == "a.xyz#3"
    assert "pbc" in info.value.fix


def test_a_flat_cell_is_refused():
    atoms = ase.Atoms("H", cell=[[3, 0, 0], [0, 3, 0], [3, 3, 0]], pbc=True)
    with pytest.raises(UserError, match="linearly dependent"):
        graph_from_atoms(atoms, 5.0)
