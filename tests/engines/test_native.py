"""The native engine has the contract of the reference, and training cannot tell them apart."""

import os
import threading
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import CUTOFF, forms, random_atoms, random_model, structures
from reann import native, properties
from reann.backends import choice
from reann.backends.native.weights import snapshot
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.model.reann import in_precision
from reann.properties import PROPERTIES

evaluate = partial(choice.evaluate, engine="native")
DIFFERENTIABLE = ["energy", "energies", "forces", "stress", "virial"]


@pytest.fixture(autouse=True, scope="module")
def _native():
    why = native.missing()
    if why is not None and os.environ.get("CI"):
        pytest.fail(f"no native engine ({why}), and CI is set")
    if why is not None:
        pytest.skip(f"no native engine: {why}")


def batch_of(*atoms):
    return Graph.batch([graph_from_atoms(one, CUTOFF) for one in atoms])


@pytest.fixture
def batch():
    """A crystal, an atom alone, a slab."""
    return batch_of(
        random_atoms(1, 4, (True, True, True)),
        random_atoms(2, 1, (False, False, False)),
        random_atoms(3, 5, (True, True, False)),
    )


def assert_close(found, expected, tolerance):
    """Compare within a tolerance relative to the size of the expected values."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert torch.equal(found.isnan(), expected.isnan())
    found, expected = found.detach().nan_to_num(), expected.detach().nan_to_num()
    size = expected.abs().max().item() if expected.numel() else 0.0
    assert (found - expected).abs().max().item() <= tolerance * max(size, 1.0)


def loss(found):
    """A number that depends on every property in its own way."""
    total = found["energies"].square().sum() + found["energy"].sin().sum()
    total = total + found["forces"].square().sum() + found["forces"].sin().sum()
    return total + found["stress"].nan_to_num().sin().sum() + found["virial"].square().sum()


def gradients(engine, model, graph):
    found = engine(model, graph, DIFFERENTIABLE, create_graph=True)
    return torch.autograd.grad(loss(found), list(model.parameters()), materialize_grads=True)


@given(st.lists(structures, min_size=1, max_size=3), forms, st.integers(0, 1000))
def test_properties_are_those_of_the_reference(atoms, form, seed):
    model, graph = random_model(seed=seed, **form), batch_of(*atoms)
    found, expected = (f(model, graph, PROPERTIES) for f in (evaluate, properties.evaluate))
    assert list(found) == list(expected)
    for name in PROPERTIES:
        assert_close(found[name], expected[name], 1e-10)


@given(st.lists(structures, min_size=1, max_size=3), forms, st.integers(0, 1000))
def test_gradients_of_the_parameters_are_those_of_the_reference(atoms, form, seed):
    model, graph = random_model(seed=seed, **form), batch_of(*atoms)
    found, expected = (gradients(f, model, graph) for f in (evaluate, properties.evaluate))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-7)


@pytest.mark.parametrize("messages", ["scalar", "directional", "equivariant"])
def test_single_precision_rounds_as_the_reference_does(batch, messages):
    model = random_model(messages=messages)
    exact = properties.evaluate(model, batch, PROPERTIES)
    in_precision(model, torch.float32)
    found = evaluate(model, batch, PROPERTIES)
    for name in PROPERTIES:
        assert_close(found[name], exact[name], 1e-5)
    both = zip(gradients(evaluate, model, batch), model.parameters(), strict=True)
    assert all(gradient.dtype == p.dtype for gradient, p in both)


def test_the_warning_of_the_reference_does_not_appear_for_what_is_supported(batch):
    """Warnings are errors in these tests."""
    for dtype in (torch.float32, torch.float64):
        model = random_model(dtype=dtype)
        assert choice.chosen("auto", [model]) is choice.NATIVE
        choice.evaluate(model, batch, PROPERTIES)
        loss(choice.evaluate(model, batch, DIFFERENTIABLE, create_graph=True)).backward()


def test_only_what_was_asked_for_is_there_and_needs_a_gradient(batch):
    model = random_model()
    assert list(evaluate(model, batch, ["forces"])) == ["forces"]
    assert not any(x.requires_grad for x in evaluate(model, batch, PROPERTIES).values())
    kept = evaluate(model, batch, DIFFERENTIABLE, create_graph=True)
    assert all(x.requires_grad for x in kept.values())
    with pytest.raises(UserError, match="Did you mean 'forces'"):
        evaluate(model, batch, ["force"])


def test_every_parameter_has_a_gradient_and_a_frozen_one_has_none():
    model, graph = random_model(), batch_of(random_atoms(2, 1, (False,) * 3))
    model.reference_energies.requires_grad_(False)
    evaluate(model, graph, ["forces"], create_graph=True)["forces"].sum().backward()
    for name, p in model.named_parameters():
        if name == "heads.energy.reference_energies":
            assert p.grad is None
        else:
            assert p.grad is not None
            assert not p.grad.any()


def test_two_forwards_before_one_backward(batch):
    model, small = random_model(), batch_of(random_atoms(5, 3, (True,) * 3))
    one = evaluate(model, batch, DIFFERENTIABLE, create_graph=True)
    before = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.1)
    two = evaluate(model, small, DIFFERENTIABLE, create_graph=True)
    found = torch.autograd.grad(loss(one) + loss(two), list(model.parameters()))
    expected = gradients(properties.evaluate, model, small)
    with torch.no_grad():
        for p, weights in zip(model.parameters(), before, strict=True):
            p.copy_(weights)
    both = zip(expected, gradients(properties.evaluate, model, batch), strict=True)
    for one_sum, parts in zip(found, both, strict=True):
        assert_close(one_sum, sum(parts), 1e-7)


def test_a_second_derivative_is_refused(batch):
    model = random_model()
    total = loss(evaluate(model, batch, DIFFERENTIABLE, create_graph=True))
    (first,) = torch.autograd.grad(total, model.recursion.update.weights, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize("change", ["in place", "behind the back of PyTorch", "loaded"])
def test_changed_weights_are_noticed(batch, change):
    model = random_model()
    before = evaluate(model, batch, ["energy"])["energy"]
    assert snapshot(model) is snapshot(model)
    if change == "loaded":
        model.load_state_dict(random_model(seed=1).state_dict())
    elif change == "in place":
        with torch.no_grad():
            model.readout.last.weight.mul_(1.5)
    else:
        model.readout.last.weight.data.mul_(1.5)
    after = evaluate(model, batch, ["energy"])["energy"]
    assert (after - before).abs().max() > 1e-6
    assert_close(after, properties.evaluate(model, batch, ["energy"])["energy"], 1e-12)


def test_impossible_structures_are_errors_of_the_user(batch):
    model = random_model()
    batch.positions[1] = batch.positions[0]
    batch.edge_shift.zero_()
    with pytest.raises(UserError):
        evaluate(model, batch, ["energy"])
    batch.positions[1] = torch.nan
    with pytest.raises(UserError):
        evaluate(model, batch, ["energy"])


def test_threads_of_python_compute_at_the_same_time(batch):
    model = random_model()
    expected = evaluate(model, batch, ["forces"])["forces"]
    found = []

    def work():
        found.extend(evaluate(model, batch, ["forces"])["forces"] for _ in range(20))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 80
    assert all(torch.equal(one, expected) for one in found)
