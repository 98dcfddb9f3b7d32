"""Energies in electric fields by the native engine: those of the reference, and their gradients."""

from __future__ import annotations

from dataclasses import replace

import ase
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import CUTOFF, equivariant, random_atoms, random_model
from reann import native
from reann.backends import choice
from reann.backends.native.backend import Native
from reann.backends.protocol import Request
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.native.system import arguments
from reann.quantities import BORN, RESPONSES
from reann.training.member import request_of

pytestmark = pytest.mark.skipif(not native.available(), reason="no native engine")
NAMES = ["energy", "energies", "forces", "stress", "virials", *RESPONSES]


def fielded(l_max: int = 3, T: int = 1, **choices: object) -> Reann:
    form = {"messages": "equivariant", "l_max": l_max, "n_recursions": T, "field": True}
    return random_model(**(form | choices))


def batch(*fields: float | None) -> Graph:
    """Structures in fields of these strengths, None without one; the second is a free atom."""
    rng = np.random.default_rng(2)
    graphs = []
    for number, strength in enumerate(fields):
        alone = ase.Atoms("O", positions=[[0.0, 1.0, 2.0]])
        atoms = alone if number == 1 else random_atoms(number, 4 + number, (number == 2,) * 3)
        graph = graph_from_atoms(atoms, CUTOFF)
        if strength is not None:
            field = torch.from_numpy(rng.normal(size=(1, 3), scale=0.3) * strength)
            graph = replace(graph, field=field)
        graphs.append(graph)
    return Graph.batch(graphs)


@pytest.mark.parametrize(("l_max", "T"), [(1, 1), (2, 0), (3, 2)])
@pytest.mark.parametrize("strengths", [(1.0, 1.0, 1.0), (1.0, None, None), (None, None, None)])
def test_properties_are_those_of_the_reference(
    l_max: int, T: int, strengths: tuple[float | None, ...]
) -> None:
    model, graph = fielded(l_max, T, repulsion=T == 1), batch(*strengths)
    found, expected = (
        choice.evaluate(model, graph, NAMES, engine=engine) for engine in ("native", "torch")
    )
    for name in NAMES:
        torch.testing.assert_close(
            found[name], expected[name], rtol=1e-9, atol=1e-9, equal_nan=True, msg=name
        )
    assert found["dipole"].abs().max() > 1e-3


@given(equivariant, st.integers(0, 100))
def test_gradients_are_those_of_the_reference(form: dict[str, object], seed: int) -> None:
    # Without a limit the moments of random weights make rounding large.
    limited = {"field": True, "moment_limit": form["moment_limit"] or 2.0}
    assert_equal_gradients(random_model(**(form | limited)), batch(1.0, 0.0, 1.0), seed)


@pytest.mark.parametrize(("l_max", "T"), [(1, 1), (2, 0), (3, 2)])
@pytest.mark.parametrize("strengths", [(1.0, 1.0, 0.5), (None, None, None)])
def test_gradients_of_polarizabilities_are_those_of_the_reference(
    l_max: int, T: int, strengths: tuple[float | None, ...]
) -> None:
    model = fielded(l_max, T, moment_limit=2.0, repulsion=T == 1)
    assert_equal_gradients(model, batch(*strengths), l_max, {"polarizability": (3, 3, 3)})


@given(equivariant, st.integers(0, 100), st.sampled_from([0.0, 1.0, None]))
def test_gradients_of_born_charges_are_those_of_the_reference(
    form: dict[str, object], seed: int, strength: float | None
) -> None:
    model = random_model(**(form | {"field": True, "moment_limit": form["moment_limit"] or 2.0}))
    graph = batch(strength, 1.0, strength)
    more = {BORN: (graph.n_atoms, 3, 3), "polarizability": (3, 3, 3)}
    assert_equal_gradients(model, graph, seed, more)


def test_a_loss_of_born_charges_alone_decreases_along_its_gradient() -> None:
    model, graph = fielded(moment_limit=2.0, repulsion=True), batch(1.0, 1.0, None)

    def loss() -> torch.Tensor:
        found = choice.evaluate(model, graph, [BORN], engine="native", create_graph=True)
        return found[BORN].square().sum()

    before = loss()
    before.backward()
    parameters = [p for p in model.parameters() if p.grad is not None]
    slope = sum(float(p.grad.square().sum()) for p in parameters if p.grad is not None)
    values, h = [], 1e-7
    for sign in (1.0, -2.0):
        with torch.no_grad():
            for p in parameters:
                assert p.grad is not None
                p.add_(sign * h * p.grad)
        values.append(loss().item())
    difference = (values[0] - values[1]) / (2 * h)
    assert slope > 0
    assert difference == pytest.approx(slope, rel=1e-5)


def assert_equal_gradients(
    model: Reann, graph: Graph, seed: int, more: dict[str, tuple[int, ...]] | None = None
) -> None:
    """Fail unless both engines have the same gradients of a loss of energies and derivatives."""
    rng = torch.Generator().manual_seed(seed)
    weights = {"energy": (3,), "forces": (graph.n_atoms, 3), "dipole": (3, 3)}
    weights |= more or {}
    weights = {n: torch.randn(s, generator=rng, dtype=torch.float64) for n, s in weights.items()}
    gradients = []
    for engine in ("native", "torch"):
        model.zero_grad()
        found = choice.evaluate(model, graph, weights, engine=engine, create_graph=True)
        sum((found[n] * w).sum() for n, w in weights.items()).backward()  # pyright: ignore[reportAttributeAccessIssue]
        gradients.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
    assert gradients[0].keys() == gradients[1].keys()
    for name, expected in gradients[1].items():
        scale = expected.abs().max().item()
        torch.testing.assert_close(
            gradients[0][name], expected, rtol=1e-8, atol=1e-9 * scale + 1e-12, msg=name
        )
    assert any(n.endswith(".field") and g.abs().max() > 0 for n, g in gradients[0].items())


def test_dipoles_change_with_velocities_as_born_charges_say() -> None:
    model, graph = fielded(), batch(1.0, 1.0, 1.0)
    born = choice.evaluate(model, graph, RESPONSES, engine="torch")["born_effective_charges"]
    v = np.random.default_rng(3).normal(size=(graph.n_atoms, 3))
    assert graph.field is not None
    dipole, rate = np.empty((3, 3)), np.empty((3, 3))
    core, system = native.core(), arguments(graph, model.element_index)
    engine_model = Native().compile(model).model
    core.dipole_rate(
        engine_model, 0, core.Workspace(), *system, 2, graph.field.numpy(), v, None, dipole, rate
    )
    current = torch.einsum("iab,ib->ia", born, torch.from_numpy(v))
    expected = torch.zeros(3, 3, dtype=torch.float64).index_add(0, graph.system, current)
    np.testing.assert_allclose(rate, expected, rtol=1e-9, atol=1e-9)


def test_threads_agree() -> None:
    atoms = random_atoms(5, 6, (True,) * 3).repeat((3, 3, 3))
    field = torch.tensor([[0.2, -0.1, 0.3]], dtype=torch.float64)
    graph = replace(graph_from_atoms(atoms, CUTOFF), field=field)
    names = ["energy", "forces", "dipole"]
    model = fielded()
    before = torch.get_num_threads()
    try:
        results = []
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            results.append(choice.evaluate(model, graph, names, engine="native"))
    finally:
        torch.set_num_threads(before)
    for name in names:
        torch.testing.assert_close(results[0][name], results[1][name], rtol=1e-10, atol=1e-10)


def test_what_is_left_to_the_reference_is_said() -> None:
    model, engine = fielded(), Native()
    assert engine.supports(model, Request.of(RESPONSES)) is None
    assert engine.supports(model, Request.of(RESPONSES, create_graph=True)) is None
    why = engine.supports(model, Request.of(["virials"], create_graph=True))
    assert why == "it has no gradients of per-atom virials"


def test_a_training_asks_for_the_outputs_that_have_labels() -> None:
    dipoles, both = fielded(outputs=["dipole"]), fielded(outputs=["dipole", "polarizability"])
    assert Native().supports(dipoles, request_of(dipoles)) is None
    assert Native().supports(both, request_of(both)) is None
    assert "polarizability" in request_of(both).names


def test_impossible_fields_are_errors() -> None:
    graph = batch(1.0)
    assert graph.field is not None
    broken = replace(graph, field=graph.field * float("nan"))
    with pytest.raises(UserError, match="electric field of system 0 is not finite"):
        choice.evaluate(fielded(), broken, ["energy"], engine="native")
    system, core = arguments(graph, random_model().element_index), native.core()
    without = Native().compile(random_model()).model
    with pytest.raises(ValueError, match="does not depend on an electric field"):
        core.evaluate(
            without, 0, core.Workspace(), *system, 1, np.empty(graph.n_atoms), None, None, None,
            field=graph.field.numpy(),
        )  # fmt: skip
