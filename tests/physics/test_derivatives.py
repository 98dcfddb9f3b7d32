"""Forces, stress and their own derivatives agree with finite differences."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import (
    CUTOFF,
    check_gradients,
    each_engine,
    forms,
    random_atoms,
    random_model,
    structures,
)
from reann.data.neighbors import graph_from_atoms
from reann.native import choice
from reann.potential import Potential

STEP = 1e-4


def energy(potential: Potential, atoms: ase.Atoms, engine: str) -> float:
    return float(potential.predict(atoms, ["energy"], engine)["energy"])


@each_engine
@given(structures, forms, st.integers(0, 1000))
def test_forces_are_the_slope_of_the_energy(
    engine: str, atoms: ase.Atoms, form: dict, seed: int
) -> None:
    potential = Potential(random_model(**form))
    direction = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    forces = potential.predict(atoms, ["forces"], engine)["forces"]
    ends = []
    for sign in (1, -1, 2, -2):
        moved = atoms.copy()
        moved.positions += sign * STEP * direction
        ends.append(energy(potential, moved, engine))
    slope = (8.0 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12.0 * STEP)
    size = 1.0 + np.abs(forces).max()
    assert -slope == pytest.approx(float((forces * direction).sum()), abs=2e-6 * size)


@each_engine
@given(st.integers(0, 1000), forms)
def test_stress_is_the_slope_of_the_energy_under_strain(engine: str, seed: int, form: dict) -> None:
    potential = Potential(random_model(**form))
    atoms = random_atoms(seed, 4, (True, True, True))
    found = potential.predict(atoms, ["stress", "virial", "virials"], engine)
    strain = np.random.default_rng(seed).normal(size=(3, 3))
    strain = 0.5 * (strain + strain.T)
    ends = []
    for sign in (1, -1, 2, -2):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + sign * STEP * strain), scale_atoms=True)
        ends.append(energy(potential, strained, engine))
    slope = (8.0 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12.0 * STEP)
    size = 1.0 + np.abs(found["virial"]).max()
    assert slope == pytest.approx(-float((found["virial"] * strain).sum()), abs=2e-6 * size)
    np.testing.assert_allclose(
        found["stress"] * abs(atoms.cell.volume), -found["virial"], atol=1e-12 * size
    )
    total = found["virials"].sum(0)
    np.testing.assert_allclose(0.5 * (total + total.T), found["virial"], atol=1e-10 * size)


@each_engine
@pytest.mark.parametrize("form", [{}, {"features": "orbitals"}, {"n_recursions": 0}])
def test_gradients_of_a_force_loss_are_right(engine: str, form: dict) -> None:
    """The second derivative, which every step of a training takes."""
    model = random_model(**form)
    graph = graph_from_atoms(random_atoms(3, 5, (True, True, False)), CUTOFF)

    def loss() -> torch.Tensor:
        names = ["energy", "forces", "virial"]
        found = choice.evaluate(model, graph, names, create_graph=True, engine=engine)
        return (
            found["energy"].sum() + found["forces"].square().sum() + found["virial"].square().sum()
        )

    check_gradients(model, loss)
