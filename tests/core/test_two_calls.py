"""An evaluation in two calls: energies first, then the derivatives of what is made of them."""

from __future__ import annotations

from ctypes import byref

import numpy as np
import pytest
import torch

from c_interface import Error, RefusalError, Result, System
from models import CUTOFF, random_atoms, random_model
from reann.data.neighbors import graph_from_atoms
from reann.model.reann import in_precision
from reann.native import system as layout
from reann.potential import Potential

FORMS = {
    "local": {"n_recursions": 0, "zbl": {}},
    "gram": {"n_recursions": 2, "features": "gram"},
    "orbitals": {"n_recursions": 1, "features": "orbitals", "l_max": 3},
    "equivariant": {"n_recursions": 2, "messages": "equivariant", "l_max": 3, "zbl": {}},
    "outputs": {
        "n_recursions": 1,
        "messages": "equivariant",
        "outputs": ["dipole", "polarizability"],
    },
    "directional": {"n_recursions": 2, "messages": "directional", "zbl": {}},
}


class Calls:
    """A model, a structure and a workspace of the C interface."""

    def __init__(self, library, folder, model) -> None:
        Potential(model).save(folder / "a.reann")
        self.model, self.c = library.open(folder / "a.reann"), library.c
        self.graph = graph_from_atoms(random_atoms(1, 6, (True,) * 3), CUTOFF)
        self.arrays = layout.arguments(self.graph, model.element_index)
        self.n, self.workspace = self.graph.n_atoms, self.c.reann_workspace_new()

    def __del__(self) -> None:
        self.c.reann_workspace_free(self.workspace)

    def call(self, function, *arguments) -> None:
        error = Error()
        if not function(*arguments, byref(error)):
            raise RefusalError(error.message.decode())

    def system(self):
        names = ("element", "positions", "first", "neighbor", "shift")
        pointers = [getattr(self.arrays, name).ctypes.data for name in names]
        return System(self.n, self.n, *pointers, None, 1, 1)

    def results(self):
        shapes = {"forces": (self.n, 3), "virial": (3, 3), "virials": (self.n, 3, 3)}
        shapes |= {"extrapolation": (self.n,)}
        arrays = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
        return arrays, Result(**{name: array.ctypes.data for name, array in arrays.items()})

    def evaluate(self):
        arrays, result = self.results()
        energies = np.full(self.n, np.nan)
        outputs = np.full((self.n, self.model.n_outputs), np.nan)
        result.energies, result.outputs = energies.ctypes.data, outputs.ctypes.data
        where = (self.model.handle, 0, self.workspace)
        self.call(self.c.reann_evaluate, *where, byref(self.system()), byref(result))
        return {"energies": energies, "outputs": outputs, **arrays}

    def forward(self, system, outputs=None):
        energies = np.full(self.n, np.nan)
        where = (self.model.handle, 0, self.workspace, byref(system))
        given = None if outputs is None else outputs.ctypes.data
        self.call(self.c.reann_forward, *where, energies.ctypes.data, given)
        return energies

    def adjoint(self, seeds, output_seeds=None):
        arrays, result = self.results()
        given = (None if x is None else x.ctypes.data for x in (seeds, output_seeds))
        self.call(self.c.reann_adjoint, self.workspace, *given, byref(result))
        return arrays


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def dtype(request):
    return request.param


@pytest.mark.parametrize("form", FORMS)
def test_two_calls_are_one_bit_for_bit_and_seeds_weigh_the_energies(library, tmp_path, form, dtype):
    model = in_precision(random_model(**FORMS[form]), dtype)
    calls, seeds = Calls(library, tmp_path, model), np.array([0.5, -1.0, 2.0, 0.0, 1.0, 3.0])
    expected, system = calls.evaluate(), calls.system()
    energies = calls.forward(system)
    np.testing.assert_array_equal(energies, expected["energies"])
    found = calls.adjoint(seeds)
    for ones in (None, np.ones(calls.n)):  # again, with other seeds
        for name, value in calls.adjoint(ones).items():
            np.testing.assert_array_equal(value, expected[name])

    graph, exact = calls.graph, in_precision(model, torch.float64)
    r = graph.edge_vectors().detach().requires_grad_()
    (exact(graph, r) * torch.from_numpy(seeds)).sum().backward()
    center, neighbor = graph.edge_index
    forces = torch.zeros(calls.n, 3, dtype=torch.float64)
    forces = forces.index_add(0, center, r.grad).index_add(0, neighbor, -r.grad)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10
    np.testing.assert_allclose(found["forces"], forces, atol=tolerance)
    virial = torch.einsum("ea,eb->ab", r.detach(), r.grad)
    np.testing.assert_allclose(found["virial"], virial, atol=10 * tolerance)
    np.testing.assert_allclose(found["virials"].sum(0), -virial, atol=10 * tolerance)


def test_the_second_call_needs_the_first(library, tmp_path):
    calls = Calls(library, tmp_path, random_model())
    with pytest.raises(RefusalError, match="has no results of reann_forward"):
        calls.adjoint(None)
    calls.forward(calls.system())
    calls.evaluate()  # in the same workspace
    with pytest.raises(RefusalError, match="has no results of reann_forward"):
        calls.adjoint(None)


def test_seeds_of_outputs_are_added_to_those_of_energies(library, tmp_path, dtype):
    """The derivative of sum_i (e_i E_i + s_i . y_i), by differences of both along a line."""
    model = in_precision(random_model(**FORMS["outputs"]), dtype)
    calls, rng = Calls(library, tmp_path, model), np.random.default_rng(1)
    expected = calls.evaluate()
    outputs = np.full_like(expected["outputs"], np.nan)
    assert outputs.shape == (calls.n, 10)
    seeds, output_seeds = rng.normal(size=calls.n), rng.normal(size=outputs.shape)
    calls.forward(calls.system(), outputs)
    np.testing.assert_array_equal(outputs, expected["outputs"])
    forces = calls.adjoint(seeds, output_seeds)["forces"]
    for name, value in calls.adjoint(None).items():  # again, without
        np.testing.assert_array_equal(value, expected[name])

    direction, positions = rng.normal(size=forces.shape), calls.arrays.positions.copy()
    step = 1e-2 if dtype == torch.float32 else 1e-4

    def total(x):
        calls.arrays.positions[:] = positions + x * direction
        found = calls.evaluate()
        return found["energies"] @ seeds + (found["outputs"] * output_seeds).sum()

    slope = (8 * (total(step) - total(-step)) - (total(2 * step) - total(-2 * step))) / (12 * step)
    tolerance = 1e-2 if dtype == torch.float32 else 1e-8
    assert -(forces * direction).sum() == pytest.approx(slope, rel=tolerance)


def test_seeds_of_outputs_need_the_outputs(library, tmp_path):
    calls = Calls(library, tmp_path, random_model(**FORMS["outputs"]))
    calls.forward(calls.system())
    with pytest.raises(RefusalError, match="not requested"):
        calls.adjoint(None, np.zeros((calls.n, 10)))
