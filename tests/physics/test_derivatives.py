"""Forces, stress and their own derivatives agree with finite differences."""

from __future__ import annotations

import ase
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
from reann import testing
from reann.backends import choice
from reann.data.neighbors import graph_from_atoms


@each_engine
@given(structures, forms, st.integers(0, 1000))
def test_forces_are_the_slope_of_the_energy(
    engine: str, atoms: ase.Atoms, form: dict, seed: int
) -> None:
    predict = testing.predictor(random_model(**form), engine=engine)
    testing.assert_forces_are_slopes(predict, atoms, seed)


@each_engine
@given(structures, forms, st.integers(0, 1000))
def test_stress_is_the_slope_of_the_energy_under_strain(
    engine: str, atoms: ase.Atoms, form: dict, seed: int
) -> None:
    predict = testing.predictor(random_model(**form), engine=engine)
    testing.assert_stress_is_the_slope(predict, atoms, seed)


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
