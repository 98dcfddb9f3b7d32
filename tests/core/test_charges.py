"""Charges in the C interface: their width, the derivatives of heads, and models of Python alone."""

from __future__ import annotations

from ctypes import byref

import numpy as np
import pytest

from c_interface import WATER, Error, Library, Model, RefusalError, Result, System, all_pairs
from models import random_model
from reann.model import Reann
from reann.potential import Potential

FORM = {"messages": "equivariant", "l_max": 2, "n_recursions": 1}


@pytest.fixture
def load(library: Library, tmp_path):
    """The function that saves a model and opens it in C++."""

    def make(model: Reann) -> Model:
        Potential(model).save(tmp_path / "a.reann")
        return library.open(tmp_path / "a.reann")

    return make


def test_the_width_of_charges_and_the_error_without_their_energy(load) -> None:
    model = load(random_model(**FORM, long_range={"smearing": 0.7}))
    assert model.c.reann_smearing(model.handle) == 0.7
    assert model.c.reann_head_width(model.handle, b"charges") == 1
    with pytest.raises(RefusalError, match="between reann_forward and reann_adjoint"):
        model.evaluate(model.elements([8, 1, 1]), WATER, *all_pairs(3))
    plain = load(random_model(**FORM, outputs=["charges"]))
    assert plain.c.reann_smearing(plain.handle) == 0.0
    assert np.isfinite(plain.evaluate(plain.elements([8, 1, 1]), WATER, *all_pairs(3))[0]).all()


def test_the_hardness_of_equilibrated_charges(load) -> None:
    built = random_model(**FORM, long_range={"charges": "equilibrated"})
    model, expected = load(built), built.state_dict()["long_range.log_hardness"].exp()
    of_elements = [model.c.reann_hardness(model.handle, 0, i) for i in range(4)]
    np.testing.assert_allclose(of_elements, [*expected.tolist(), 0.0], rtol=1e-15)
    assert model.c.reann_head_width(model.handle, b"electronegativities") == 1
    latent = load(random_model(**FORM, long_range={}))
    assert latent.c.reann_hardness(latent.handle, 0, 0) == 0.0


def test_the_adjoint_of_a_head_is_that_of_its_values(load) -> None:
    built, n = random_model(**FORM, outputs=["dipole", "polarizability"]), 4
    for number, head in enumerate(built.output_heads.values()):
        head.scale.fill_(0.7 + 0.2 * number)
    model, rng = load(built), np.random.default_rng(0)
    element = np.array([0, 1, 2, 1], np.int32)
    y, dy = rng.normal(size=(2, n, model.n_outputs))
    for name, width in {"charges": 1, "dipole": 3, "polarizability": 9}.items():
        assert model.c.reann_head_width(model.handle, name.encode()) == width
        values = []
        for outputs in (y, y + dy):
            found, error = np.full((n, width), np.nan), Error()
            arrays = (np.ascontiguousarray(outputs).ctypes.data, found.ctypes.data)
            where = (model.handle, 0, name.encode(), n, element.ctypes.data)
            assert model.c.reann_head_values(*where, *arrays, byref(error))
            values.append(found)
        seeds, bar = rng.normal(size=(n, width)), np.ones((n, model.n_outputs))
        arrays = (seeds.ctypes.data, bar.ctypes.data)
        where = (model.handle, 0, name.encode(), n)
        assert model.c.reann_head_adjoint(*where, *arrays, byref(error))
        slope = ((values[1] - values[0]) * seeds).sum()
        assert ((bar - 1.0) * dy).sum() == pytest.approx(slope, rel=1e-12)
    assert not model.c.reann_head_adjoint(model.handle, 0, b"spin", n, *arrays, byref(error))
    assert error.message == b"The model has no output 'spin'."


def test_a_rank_without_atoms_takes_seeds(load) -> None:
    model = load(random_model(**FORM, long_range={}))
    empty, error, workspace = np.zeros(1), Error(), model.c.reann_workspace_new()
    first, nothing = np.zeros(1, np.int64), empty.ctypes.data
    system = System(0, 0, nothing, nothing, first.ctypes.data, nothing, None, None, 1, 1)
    where = (model.handle, 0, workspace, byref(system))
    assert model.c.reann_forward(*where, nothing, nothing, byref(error)), error.message
    result = Result(forces=nothing)
    assert model.c.reann_adjoint(workspace, None, nothing, byref(result), byref(error)), (
        error.message
    )
    model.c.reann_workspace_free(workspace)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"inputs": ["charge"]}, "depends on model.inputs"),
        ({"dispersion": {"functional": "pbe", "labels": "lack"}}, "depends on model.dispersion"),
    ],
)
def test_models_of_python_alone_are_refused(load, form, said) -> None:
    with pytest.raises(RefusalError, match=said):
        load(random_model(**FORM, **form))
