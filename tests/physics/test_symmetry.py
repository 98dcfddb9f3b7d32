"""The energy knows no frame, no order of atoms and no choice of cell; forces turn along."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from models import each_engine, forms, random_atoms, random_model, structures
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann
from reann.potential import Potential

seeds = st.integers(0, 1000)


def predict(model: Reann, atoms: ase.Atoms, engine: str) -> dict:
    names = ["energy", "energies", "forces", "virial"]
    return Potential(model).predict(atoms, names, engine)


@each_engine
@given(structures, forms, seeds)
def test_energy_does_not_change_when_everything_is_moved_and_turned(
    engine: str, atoms: ase.Atoms, form: dict, seed: int
) -> None:
    model = random_model(**form)
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    if seed % 2:
        turn = -turn
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T)
    turned.positions = atoms.positions @ turn.T + [0.3, -7.0, 11.0]
    before, after = predict(model, atoms, engine), predict(model, turned, engine)
    size = 1.0 + np.abs(before["forces"]).max()
    assert after["energy"] == pytest.approx(before["energy"], abs=1e-9 * size)
    np.testing.assert_allclose(after["forces"], before["forces"] @ turn.T, atol=1e-9 * size)
    np.testing.assert_allclose(after["virial"], turn @ before["virial"] @ turn.T, atol=1e-8 * size)


@each_engine
@given(structures, forms, seeds)
def test_atoms_can_be_listed_in_any_order(
    engine: str, atoms: ase.Atoms, form: dict, seed: int
) -> None:
    model = random_model(**form)
    order = np.random.default_rng(seed).permutation(len(atoms))
    before, after = predict(model, atoms, engine), predict(model, atoms[order], engine)
    size = 1.0 + np.abs(before["forces"]).max()
    np.testing.assert_allclose(after["energies"], before["energies"][order], atol=1e-9 * size)
    np.testing.assert_allclose(after["forces"], before["forces"][order], atol=1e-9 * size)


@each_engine
@given(structures, forms)
def test_a_supercell_has_the_energy_of_its_parts(engine: str, atoms: ase.Atoms, form: dict) -> None:
    model = random_model(**form)
    repeats = tuple(2 if periodic else 1 for periodic in atoms.pbc)
    one, many = predict(model, atoms, engine), predict(model, atoms.repeat(repeats), engine)
    size = np.prod(repeats) * (1.0 + np.abs(one["forces"]).max())
    assert many["energy"] == pytest.approx(np.prod(repeats) * one["energy"], abs=1e-9 * size)
    np.testing.assert_allclose(
        many["forces"], np.tile(one["forces"], (int(np.prod(repeats)), 1)), atol=1e-9 * size
    )


@each_engine
@given(st.lists(structures, min_size=2, max_size=4), forms)
def test_a_batch_changes_nothing(engine: str, many: list[ase.Atoms], form: dict) -> None:
    potential = Potential(random_model(**form))
    batch = Graph.batch([graph_from_atoms(atoms, potential.cutoff) for atoms in many])
    together = potential.evaluate(batch, ["energy", "forces"], engine)
    for i, atoms in enumerate(many):
        alone = potential.predict(atoms, ["energy", "forces"], engine)
        size = 1.0 + np.abs(alone["forces"]).max()
        assert together["energy"][i].item() == pytest.approx(alone["energy"], abs=1e-9 * size)
        own = together["forces"][batch.system == i]
        np.testing.assert_allclose(own, alone["forces"], atol=1e-9 * size)


@each_engine
@given(st.integers(0, 100))
def test_atoms_may_lie_outside_the_cell(engine: str, seed: int) -> None:
    model = random_model()
    atoms = random_atoms(seed, 4, (True, True, True))
    wrapped = atoms.copy()
    wrapped.wrap()
    before, after = predict(model, atoms, engine), predict(model, wrapped, engine)
    np.testing.assert_allclose(after["forces"], before["forces"], atol=1e-9)


@each_engine
@given(structures)
def test_what_the_model_calls_a_sum_is_a_sum(engine: str, atoms: ase.Atoms) -> None:
    model = random_model()
    found = predict(model, atoms, engine)
    assert found["energies"].sum() == pytest.approx(found["energy"], abs=1e-12)
    np.testing.assert_allclose(found["forces"].sum(0), 0.0, atol=1e-10)
