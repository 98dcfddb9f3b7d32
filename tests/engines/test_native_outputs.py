"""What heads read off states is the same by the native engine, and so are gradients through it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import ase
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import (
    CUTOFF,
    equivariant,
    random_atoms,
    random_model,
    read_off_states,
    structures,
)
from reann import native, properties
from reann.backends import choice
from reann.backends.native.numbers import Numbers
from reann.backends.native.outputs import derivatives, quantities
from reann.backends.native.weights import new_model
from reann.backends.protocol import Request
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.interfaces.ase import Calculator
from reann.model import Reann
from reann.model.reann import in_precision
from reann.native.system import arguments
from reann.potential import Ensemble, Potential

# Under CI tests/engines/test_native.py fails without it.
pytestmark = pytest.mark.skipif(not native.available(), reason="no native engine")

evaluate = partial(choice.evaluate, engine="native")
ENERGIES = ["energy", "forces", "virial"]
BOTH = ["dipole", "polarizability"]
ALL = [*BOTH, "charges", "transition_dipole", "magmoms", "shieldings", "gap"]
FORM = {"messages": "equivariant", "l_max": 3, "n_recursions": 1, "outputs": BOTH}


def model_of(form: dict[str, Any], **choices: Any) -> Reann:
    """Return a model with all outputs that the form can have."""
    outputs = [name for name in ALL if name != "polarizability" or form["l_max"] > 1]
    return random_model(**{**form, "outputs": outputs, **choices})


def batch_of(*atoms) -> Graph:
    return Graph.batch([graph_from_atoms(one, CUTOFF) for one in atoms])


@pytest.fixture
def batch() -> Graph:
    """A crystal, an atom alone, a slab, a molecule."""
    none = (False, False, False)
    every = [(4, (True, True, True)), (1, none), (5, (True, True, False)), (6, none)]
    return batch_of(*(random_atoms(i, n, pbc) for i, (n, pbc) in enumerate(every)))


def assert_close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    size = max(expected.abs().max().item(), 1.0) if expected.numel() else 1.0
    assert (found - expected).abs().max().item() <= tolerance * size


def gradients(engine, model: Reann, graph: Graph, names: list[str]) -> list[torch.Tensor]:
    """Return the gradients of a number that depends on every property in its own way."""
    found = engine(model, graph, names, create_graph=True)
    total = torch.stack(
        [(x + i).sin().sum() + x.square().sum() for i, x in enumerate(found.values())]
    )
    return list(torch.autograd.grad(total.sum(), list(model.parameters()), materialize_grads=True))


@given(st.lists(structures, min_size=1, max_size=3), equivariant, st.integers(0, 1000))
def test_outputs_are_those_of_the_reference(atoms, form, seed):
    model, graph = model_of(form, seed=seed), batch_of(*atoms)
    names = [*ENERGIES, *model.output_names]
    found, expected = (f(model, graph, names) for f in (evaluate, properties.evaluate))
    assert list(found) == list(expected)
    for name in names:
        assert_close(found[name], expected[name], 1e-10)
    for name, alone in evaluate(model, graph, model.output_names).items():
        assert torch.equal(alone, found[name])


@given(
    st.lists(structures, min_size=1, max_size=3), equivariant, st.integers(0, 1000), st.booleans()
)
def test_gradients_of_the_parameters_are_those_of_the_reference(atoms, form, seed, with_energies):
    model, graph = model_of(form, seed=seed), batch_of(*atoms)
    names = [*(ENERGIES if with_energies else []), *model.output_heads]
    engines = (evaluate, properties.evaluate)
    found, expected = (gradients(engine, model, graph, names) for engine in engines)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-9)


@given(
    st.lists(structures, min_size=1, max_size=3), equivariant, st.integers(0, 1000), st.booleans()
)
def test_gradients_of_common_heads_are_those_of_the_reference(atoms, form, seed, some):
    common = [name for name in ALL if name != "transition_dipole"]
    outputs = [n for n in common if n != "polarizability" or form["l_max"] > 1]
    model, graph = random_model(**{**form, "outputs": outputs}, seed=seed), batch_of(*atoms)
    charge = torch.randn(graph.n_systems, generator=torch.Generator().manual_seed(seed))
    graph = replace(graph, charge=charge.double() if seed % 2 else None)
    names = ["forces", "dipole", "gap"] if some else [*ENERGIES, *model.output_heads]
    engines = (evaluate, properties.evaluate)
    found, expected = (gradients(engine, model, graph, names) for engine in engines)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-9)


def test_a_model_without_energies_has_outputs_and_gradients(batch):
    model = random_model(**FORM, heads=[])
    for name, value in evaluate(model, batch, BOTH).items():
        assert_close(value, properties.evaluate(model, batch, BOTH)[name], 1e-10)
    engines = (evaluate, properties.evaluate)
    found, expected = (gradients(engine, model, batch, BOTH) for engine in engines)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-9)
    compiled = choice.NATIVE.compile(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.01)
    compiled.update(model)
    found = compiled.evaluate(batch, Request.of(BOTH))
    for name, value in properties.evaluate(model, batch, BOTH).items():
        assert_close(found[name], value, 1e-10)
    for names in (["energy"], ["dipole", "forces"]):
        with pytest.raises(UserError, match="the model has none"):
            evaluate(model, batch, names)


def test_energies_do_not_depend_on_whether_outputs_are_asked_for(batch):
    model = random_model(**FORM)
    alone, together = (evaluate(model, batch, [*ENERGIES, *more]) for more in ([], BOTH))
    for name in ENERGIES:
        assert torch.equal(alone[name], together[name])


def test_single_precision_rounds_as_the_reference_does(batch):
    model = random_model(**FORM)
    exact = properties.evaluate(model, batch, BOTH)
    expected = gradients(properties.evaluate, model, batch, [*ENERGIES, *BOTH])
    in_precision(model, torch.float32)
    for name, value in evaluate(model, batch, BOTH).items():
        assert_close(value, exact[name], 1e-5)
    found = gradients(evaluate, model, batch, [*ENERGIES, *BOTH])
    for one, other, p in zip(found, expected, model.parameters(), strict=True):
        assert one.dtype == p.dtype
        assert_close(one.double(), other.double(), 1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_threads_change_nothing_but_rounding_and_repeat_bitwise(dtype):
    atoms = random_atoms(3, 6, (True,) * 3).repeat((3, 3, 3))
    model, graph = random_model(dtype=dtype, **FORM), batch_of(atoms)
    core, system = new_model(model), arguments(graph, model.element_index)
    n, loss = graph.n_atoms, np.sin(np.arange(graph.n_atoms * core.n_outputs))

    def results(n_threads: int) -> list[np.ndarray]:
        start = (core, 0, native.core().Workspace(), *system, n_threads)
        energies, outputs = np.empty(n), np.full((n, core.n_outputs), np.nan)
        native.core().evaluate(*start, energies, None, None, None, None, outputs)
        names = [f"0.output_heads.{head}" for head in ("dipole.vectors", "polarizability.matrices")]
        grads = {k: np.zeros(model.get_parameter(k[2:]).shape) for k in names}
        losses = np.ones(n), None, None
        native.core().gradient(*start, *losses, grads, loss.reshape(n, -1))
        return [outputs, *grads.values()]

    one, four, again = results(1), results(4), results(4)
    for a, b, c in zip(one, four, again, strict=True):
        assert b.tobytes() == c.tobytes()
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-12)


def test_derivatives_of_outputs_by_positions_are_those_of_the_reference(batch):
    """Seeds on the rows of a batch, as derivatives of a dipole moment need them."""
    model = random_model(**FORM)
    core, system = new_model(model), arguments(batch, model.element_index)
    n, generator = batch.n_atoms, torch.Generator().manual_seed(1)
    seeds = torch.randn((2, n, core.n_outputs), generator=generator, dtype=torch.float64)
    of_energies = torch.stack([torch.zeros(n), torch.rand(n, generator=generator)]).double()
    found = np.full((2, n, 3), np.nan), np.full((2, batch.n_systems, 3, 3), np.nan)
    start = (core, 0, native.core().Workspace(), *system, 1)
    native.core().derivatives(*start, of_energies.numpy(), seeds.numpy(), *found)

    r = batch.edge_vectors().detach().requires_grad_()
    outputs, energies = read_off_states(model, batch, r), model(batch, r)
    for i in range(2):
        total = (outputs * seeds[i]).sum() + (energies * of_energies[i]).sum()
        (g,) = torch.autograd.grad(total, r, retain_graph=True)
        forces = torch.zeros(n, 3, dtype=torch.float64)
        forces = forces.index_add(0, batch.center, g).index_add(0, batch.neighbor, -g)
        assert_close(torch.from_numpy(found[0][i]), forces, 1e-10)
        outer = r.detach()[:, :, None] * g[:, None, :]
        w = torch.zeros(batch.n_systems, 3, 3, dtype=torch.float64)
        w = w.index_add(0, batch.system[batch.center], outer)
        assert_close(torch.from_numpy(found[1][i]), w, 1e-10)


def test_a_calculator_has_outputs_of_every_member_without_the_reference():
    members = [Potential(random_model(seed=i, **FORM)) for i in range(2)]
    atoms = random_atoms(2, 5, (False,) * 3)
    for potential in (members[0], Ensemble(members)):
        expected = potential.predict(atoms, [*BOTH, "energy"], "torch")
        atoms.calc = Calculator(potential, engine="native")
        for name in BOTH:  # the first one with the energy, the other one alone
            found = atoms.calc.get_property(name, atoms)
            np.testing.assert_allclose(found, expected[name], atol=1e-10)
        assert atoms.get_potential_energy() == pytest.approx(expected["energy"], abs=1e-10)
        assert atoms.calc.results["free_energy"] == atoms.get_potential_energy()


@pytest.mark.parametrize("pbc", [(True,) * 3, (False,) * 3], ids=["crystal", "molecule"])
def test_induction_is_one_quantity_for_both_engines(pbc):
    model = random_model(**FORM, induction=True)
    graph = batch_of(random_atoms(0, 4, pbc), random_atoms(1, 6, pbc))
    found, expected = (
        gradients(engine, model, graph, BOTH) for engine in (evaluate, properties.evaluate)
    )
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, 1e-9)
    found = evaluate(model, graph, BOTH)["polarizability"]
    expected = properties.evaluate(model, graph, BOTH)["polarizability"]
    assert_close(found, expected, 1e-10)
    slopes = derivatives(model, graph, "polarizability")
    moved, step = graph.positions.clone(), 1e-4
    ends = []
    for x in (step, -step):
        moved[1, 2] = graph.positions[1, 2] + x
        ends.append(evaluate(model, replace(graph, positions=moved), BOTH)["polarizability"][0])
    assert_close(slopes[1, :, :, 2], (ends[0] - ends[1]) / (2 * step), 1e-6)


def test_a_head_that_does_more_than_read_states_is_left_to_the_reference(batch):
    model = random_model(**FORM)
    head = model.output_heads["dipole"]
    head.__class__ = type("Other", (type(head),), {"forward": lambda self, f, a: 0.0})
    with pytest.raises(choice.UnsupportedError, match="not dipole"):
        evaluate(model, batch, ["dipole"])
    assert list(evaluate(model, batch, ["energy"])) == ["energy"]


@pytest.mark.parametrize("name", BOTH)
def test_derivatives_by_positions_are_differences_along_a_line(batch, name):
    """Of molecules also by the charges at the positions, of which the sum is that of all."""
    model, generator = random_model(**FORM), torch.Generator().manual_seed(1)
    line = torch.randn((batch.n_atoms, 3), generator=generator, dtype=torch.float64)
    found = torch.einsum("ia,i...a->i...", line, derivatives(model, batch, name))
    found = (
        torch.zeros(batch.n_systems, *found.shape[1:]).double().index_add(0, batch.system, found)
    )

    def value(x: float) -> torch.Tensor:
        moved = replace(batch, positions=batch.positions + x * line)
        return properties.evaluate(model, moved, [name])[name]

    h = 1e-4
    slope = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
    assert slope.abs().max() > 1e-3
    assert_close(found, slope, 1e-7)


def test_born_charges_of_a_head_are_one_quantity_for_both_engines(batch):
    """Rows are dipoles; they add up to the total charge where the dipole is that of a molecule."""
    model = random_model(**FORM)
    molecules = Graph.batch(
        [graph_from_atoms(random_atoms(i, 5, (False,) * 3), CUTOFF) for i in (1, 2)]
    )
    charged = replace(molecules, charge=torch.tensor([1.0, -2.0], dtype=torch.float64))
    for graph in (batch, molecules, charged):
        names = ["dipole", "born_effective_charges"]
        found, expected = (f(model, graph, names) for f in (evaluate, properties.evaluate))
        for name in names:
            assert_close(found[name], expected[name], 1e-10)
    total = torch.zeros(2, 3, 3, dtype=torch.float64).index_add(
        0, charged.system, found["born_effective_charges"]
    )
    assert_close(total, torch.tensor([1.0, -2.0]).double()[:, None, None] * torch.eye(3), 1e-12)
    h, atom, direction = 1e-4, 3, 1

    def dipole(x: float) -> torch.Tensor:
        positions = molecules.positions.clone()
        positions[atom, direction] += x
        return evaluate(model, replace(molecules, positions=positions), ["dipole"])["dipole"][0]

    slope = (8 * (dipole(h) - dipole(-h)) - (dipole(2 * h) - dipole(-2 * h))) / (12 * h)
    born = evaluate(model, molecules, ["born_effective_charges"])["born_effective_charges"]
    torch.testing.assert_close(born[atom, :, direction], slope, rtol=1e-6, atol=1e-9)


@given(
    st.lists(structures, min_size=1, max_size=3), equivariant, st.integers(0, 1000), st.booleans()
)
def test_gradients_of_born_charges_are_those_of_the_reference(atoms, form, seed, with_others):
    model, graph = model_of(form, seed=seed), batch_of(*atoms)
    charge = torch.randn(graph.n_systems, generator=torch.Generator().manual_seed(seed))
    graph = replace(graph, charge=charge.double() if seed % 2 else None)
    names = [*([*ENERGIES, *BOTH[:1]] if with_others else []), "born_effective_charges"]
    engines = (evaluate, properties.evaluate)
    found, expected = (gradients(engine, model, graph, names) for engine in engines)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-9)


def test_gradients_of_born_charges_cannot_be_computed_after_an_update(batch):
    model = random_model(**FORM)
    compiled = choice.NATIVE.compile(model)
    request = Request.of(["born_effective_charges"], create_graph=True)
    born = compiled.evaluate(batch, request)["born_effective_charges"]
    compiled.update(model)
    with pytest.raises(RuntimeError, match="call backward before"):
        born.sum().backward()


@pytest.mark.parametrize("charged", [False, True])
def test_quantities_without_pytorch_are_those_of_the_heads(batch, charged):
    common = [name for name in ALL if name != "transition_dipole"]
    model = random_model(**{**FORM, "outputs": common})
    charge = torch.tensor([0.0, 1.0, -1.0, 0.5], dtype=torch.float64)
    graph = replace(batch, charge=charge if charged else None)
    numbers, element = Numbers.of(model), model.element_index[graph.atomic_numbers]
    assert numbers is not None
    indices = element.numpy().astype(np.int32)
    rows = torch.randn((graph.n_atoms, len(numbers.matrix)), dtype=torch.float64)
    with torch.no_grad():
        expected = quantities(model, graph, indices, rows)
    for names in ([name] for name in common):
        found = numbers.quantities(graph, indices, rows, names)
        assert list(found) == names
        assert_close(found[names[0]], expected[names[0]], 1e-13)
    assert Numbers.of(random_model(**{**FORM, "outputs": ["transition_dipole"]})) is None


def test_structures_without_atoms_have_no_dipole():
    model = random_model(**FORM)
    graph = batch_of(
        random_atoms(1, 3, (False,) * 3), ase.Atoms(), random_atoms(2, 4, (False,) * 3)
    )
    found, expected = (f(model, graph, BOTH) for f in (evaluate, properties.evaluate))
    for name in BOTH:
        assert_close(found[name], expected[name], 1e-12)
        assert not found[name][1].any()


def test_a_calculator_and_a_prediction_have_born_charges_of_a_head():
    potential, atoms = Potential(random_model(**FORM)), random_atoms(2, 5, (False,) * 3)
    expected = potential.predict(atoms, ["born_effective_charges"], "torch")
    atoms.calc = Calculator(potential, engine="native")
    for name in ("dipole", "born_effective_charges"):
        found = atoms.calc.get_property(name, atoms)
    np.testing.assert_allclose(found, expected["born_effective_charges"], atol=1e-10)


def test_outputs_that_are_requested_at_each_step_are_computed_with_the_forces():
    potential, atoms = Potential(random_model(**FORM)), random_atoms(2, 5, (False,) * 3)
    atoms.calc = calculator = Calculator(potential, engine="native")
    computed, compute = [], calculator.compute

    def counted(atoms, neighbors, names):
        computed.append(names)
        return compute(atoms, neighbors, names)

    calculator.compute = counted
    rng = np.random.default_rng(0)
    for step in range(5):
        if step == 3:
            atoms.info["charge"] = 1.0  # changes the dipole, but not the energy
        else:
            atoms.positions += 0.01 * rng.normal(size=(5, 3))
        expected = potential.predict(atoms, ["forces", "dipole"])
        np.testing.assert_allclose(atoms.get_forces(), expected["forces"], atol=1e-10)
        np.testing.assert_allclose(atoms.get_dipole_moment(), expected["dipole"], atol=1e-10)
    assert [names & {"forces", "dipole"} for names in computed] == [
        {"forces"},
        {"dipole"},
        *[{"forces", "dipole"}] * 4,
    ]
    computed.clear()
    for _ in range(3):  # nothing is requested any more
        atoms.positions += 0.01 * rng.normal(size=(5, 3))
        atoms.get_forces()
    assert ["dipole" in names for names in computed] == [True, False, False]


def test_slow_outputs_are_computed_only_on_request():
    atoms = random_atoms(2, 5, (False,) * 3)
    atoms.calc = Calculator(Potential(random_model(**FORM)), engine="native")
    atoms.calc.get_property("born_effective_charges", atoms)
    atoms.positions[0] += 0.01
    atoms.get_forces()
    assert "born_effective_charges" not in atoms.calc.results
