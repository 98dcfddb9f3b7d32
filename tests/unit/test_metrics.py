"""RMSE and MAE are those of the numbers, however they are summed up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import CUTOFF, random_atoms
from reann.data.neighbors import graph_from_atoms
from reann.error_measures import key
from reann.evaluation.metrics import Errors, residuals
from reann.graph import Graph
from reann.quantities import label_names

SHAPES = {"energy": (7,), "forces": (20, 3), "stress": (7, 3, 3)}


def random_errors(seed: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return {name: torch.from_numpy(rng.normal(size=shape)) for name, shape in SHAPES.items()}


def summed(*batches: dict[str, torch.Tensor]) -> Errors:
    errors = Errors()
    for batch in batches:
        errors.add(batch)
    return errors


@given(st.integers(0, 1000))
def test_errors_are_those_of_numpy(seed):
    batches = [random_errors(seed), random_errors(seed + 1)]
    summary = summed(*batches).summary()
    for name in SHAPES:
        x = np.concatenate([batch[name].numpy().ravel() for batch in batches])
        assert summary[key(name, "rmse")] == pytest.approx(np.sqrt(np.mean(x**2)))
        assert summary[key(name, "mae")] == pytest.approx(np.mean(np.abs(x)))
        assert summary[key(name, "mae")] <= summary[key(name, "rmse")]


def test_the_units_are_in_the_names():
    assert set(summed(random_errors(0)).summary()) == {
        f"{name}_{kind}_{unit}"
        for name, unit in (
            ("energy", "meV_per_atom"),
            ("forces", "meV_per_A"),
            ("stress", "meV_per_A3"),
        )
        for kind in ("rmse", "mae")
    }


def test_labels_that_never_occur_have_no_error():
    nothing = {"forces": torch.empty(0, dtype=torch.float64)}
    assert summed(nothing).summary() == {}
    assert Errors().summary() == {}


def test_a_table_restores_the_errors_exactly():
    errors = summed(random_errors(3))
    table = errors.table()
    assert table.shape == (len(label_names()), 3)
    again = Errors.from_table(np.array(table.tolist()))
    assert again.summary() == errors.summary()
    again.add(random_errors(4))
    errors.add(random_errors(4))
    assert again.summary() == errors.summary()
    # The table is a copy: what is added later does not change it.
    assert not np.array_equal(table, errors.table())


def test_a_table_of_a_version_with_fewer_labels_is_read():
    errors = summed(random_errors(3))
    assert Errors.from_table(errors.table()[:3]).summary() == errors.summary()


@given(st.integers(0, 1000), st.integers(1, 6))
def test_tables_of_processes_add_up_to_the_errors_of_all(seed, n_processes):
    every = [random_errors(seed + k) for k in range(n_processes)]
    added = Errors.from_table(sum(summed(one).table() for one in every))
    assert added.summary() == pytest.approx(summed(*every).summary(), rel=1e-12)


def test_residuals_are_per_atom_and_in_milli_electronvolts():
    structures = [random_atoms(k, n, (True, True, True)) for k, n in enumerate((1, 4))]
    graph = Graph.batch([graph_from_atoms(atoms, CUTOFF) for atoms in structures])
    predicted = {
        "energy": torch.tensor([1.0, 2.0], dtype=torch.float64),
        "forces": torch.ones(5, 3, dtype=torch.float64),
        "stress": torch.ones(2, 3, 3, dtype=torch.float64),
    }
    graph.labels["energy"] = torch.tensor([0.5, torch.nan], dtype=torch.float64)
    graph.labels["forces"] = torch.zeros(5, 3, dtype=torch.float64)
    found = residuals(predicted, graph)
    assert set(found) == {"energy", "forces"}
    assert found["energy"].tolist() == [500.0]
    assert (found["forces"] == 1000.0).all()
    graph.labels["energy"][1] = 0.0
    assert residuals(predicted, graph)["energy"].tolist() == [500.0, 500.0]
    assert set(residuals({"energy": predicted["energy"]}, graph)) == {"energy"}


def test_a_prediction_that_is_not_a_number_is_no_missing_label():
    graph = graph_from_atoms(random_atoms(1, 3, (True, True, True)), CUTOFF)
    graph.labels["forces"] = torch.zeros(3, 3, dtype=torch.float64)
    predicted = {"forces": torch.full((3, 3), torch.nan, dtype=torch.float64)}
    summary = summed(residuals(predicted, graph)).summary()
    assert np.isnan(summary["forces_rmse_meV_per_A"])


def test_float32_residuals_are_summed_in_float64():
    x = torch.full((3_000_000,), 0.1, dtype=torch.float32)
    exact = float(x[0])
    assert summed({"energy": x}).summary()["energy_rmse_meV_per_atom"] == pytest.approx(
        exact, rel=1e-9
    )
