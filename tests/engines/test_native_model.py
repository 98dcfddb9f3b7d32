"""A model of the native engine: it takes over other weights, and says how far atoms extrapolate."""

import contextlib
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import CUTOFF, forms, random_atoms, random_model, set_range, structures
from reann import native
from reann.backends.native.weights import new_model, tensors_of
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann
from reann.model.reann import in_precision
from reann.native.system import arguments

ENERGY_SCALE = "0.heads.energy.energy_scale"

# Under CI tests/engines/test_native.py fails without it.
pytestmark = pytest.mark.skipif(not native.available(), reason="no native engine")

precisions = st.sampled_from([torch.float32, torch.float64])


def arrays_of(model: Reann) -> dict[str, np.ndarray]:
    return {f"0.{name}": tensor.numpy() for name, tensor in model.state_dict().items()}


def results(core_model, model: Reann, graph: Graph) -> list[np.ndarray]:
    """Return all that the engine computes with a model, and the gradient of a loss of it."""
    system = arguments(graph, model.element_index)
    n, m = system.n_atoms, system.n_structures
    start = (core_model, 0, native.core().Workspace(), *system, 1)
    found = [np.full(shape, np.nan) for shape in ((n,), (n, 3), (m, 3, 3), (n, 3, 3), (n,))]
    native.core().evaluate(*start, *found)
    gradients = {name: np.zeros(array.shape) for name, array in arrays_of(model).items()}
    losses = [np.sin(np.arange(x.size)).reshape(x.shape) for x in found[:3]]
    native.core().gradient(*start, *losses, gradients)
    return [*found, *gradients.values()]


@given(structures, forms, precisions, st.integers(0, 1000))
def test_an_updated_model_is_bitwise_a_new_one(atoms, form, dtype, seed):
    old, new = (random_model(seed=seed + i, dtype=dtype, **form) for i in range(2))
    graph = graph_from_atoms(atoms, CUTOFF)
    set_range(new, graph)
    with torch.no_grad():  # buffers are weights, too
        new.energy_scale.mul_(1.5)
        for name, buffer in new.recursion.named_buffers():
            if name.endswith("scale"):
                buffer.mul_(0.7)
    updated = new_model(old)
    updated.update(arrays_of(new))
    for found, expected in zip(
        results(updated, new, graph), results(new_model(new), new, graph), strict=True
    ):
        assert found.tobytes() == expected.tobytes()


@given(structures, structures, forms, st.integers(0, 1000))
def test_the_extrapolation_is_that_of_the_reference(atoms, others, form, seed):
    model = random_model(seed=seed, **form)
    graph, known = (graph_from_atoms(one, CUTOFF) for one in (atoms, others))
    set_range(model, known, fixed=seed % model.recursion.width)
    model.density_min[1] = -torch.inf  # the training had no carbon
    expected = model.extrapolation(graph).numpy()
    assert np.isinf(expected[atoms.numbers == 6]).all()
    found = results(new_model(model), model, graph)[4]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("features", ["gram", "many_body", "orbitals"])
def test_the_extrapolation_in_single_precision_is_that_in_double(features):
    model = random_model(features=features, l_max=3)
    graph, known = (graph_from_atoms(random_atoms(i, 6, (True,) * 3), CUTOFF) for i in (1, 2))
    set_range(model, known, fixed=2)
    expected = model.extrapolation(graph).numpy()
    single = in_precision(model, torch.float32)
    assert (expected > 0.0).any()
    for found in (single.extrapolation(graph), results(new_model(single), single, graph)[4]):
        np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize(
    "form",
    [{}, {"messages": "directional", "zbl": {}}, {"features": "gram"}, {"messages": "equivariant"}],
)
def test_weights_are_watched_one_and_all(form):
    model = random_model(**form)
    state, watched = model.state_dict(), dict(tensors_of(model))
    assert watched.keys() == state.keys()
    assert all(watched[name].data_ptr() == tensor.data_ptr() for name, tensor in state.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop(ENERGY_SCALE), f"{ENERGY_SCALE}: missing"),
        (lambda arrays: arrays.update(more=np.zeros(1)), "names that are not those"),
        (lambda arrays: arrays.update({ENERGY_SCALE: np.zeros(1)}), "name, type or shape"),
        (
            lambda arrays: arrays.update({ENERGY_SCALE: np.zeros((), np.float32)}),
            "name, type or shape",
        ),
    ],
)
def test_other_arrays_are_no_update_and_leave_the_model_as_it_is(change, message):
    model = random_model()
    graph = graph_from_atoms(random_atoms(1, 4, (True,) * 3), CUTOFF)
    core_model, arrays = new_model(model), arrays_of(random_model(seed=1))
    before = results(core_model, model, graph)
    change(arrays)
    with pytest.raises(ValueError, match=message):
        core_model.update(arrays)
    after = results(core_model, model, graph)
    assert all(x.tobytes() == y.tobytes() for x, y in zip(before, after, strict=True))


def test_a_model_is_not_updated_while_another_thread_computes_with_it():
    model, graph = random_model(), graph_from_atoms(random_atoms(1, 6, (True,) * 3), CUTOFF)
    core_model, arrays = new_model(model), arrays_of(random_model(seed=1))
    old = results(core_model, model, graph)[1]
    done, seen = threading.Event(), set()

    def work():
        while not done.is_set():
            seen.add(results(core_model, model, graph)[1].tobytes())

    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(200):
        with contextlib.suppress(ValueError):  # another thread is computing with it
            core_model.update(arrays)
    done.set()
    worker.join()
    core_model.update(arrays)
    new = results(core_model, model, graph)[1]
    assert seen <= {old.tobytes(), new.tobytes()}
