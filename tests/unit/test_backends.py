"""A third backend computes wherever the two of the package do, without any other change."""

import copy
import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import ase.build
import ase.io
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from c_interface import ROOT
from models import CUTOFF, each_engine, random_atoms, random_model, set_range
from reann import heat_flux
from reann.backends import choice
from reann.backends.native.compiled import Compiled
from reann.backends.protocol import Backend, Request
from reann.cli import app
from reann.config import Config, engines
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.potential import Ensemble, Potential
from reann.training.run import train
from runs import DATA, NETWORK

WANTED = ["energy", "forces", "extrapolation"]


@dataclass
class Counted:
    """A compiled model that asks that of another backend."""

    compiled: object
    counts: dict[str, int]

    def update(self, model):
        self.counts["update"] += 1
        self.compiled.update(model)

    def evaluate(self, graph, request):
        self.counts["gradients" if request.create_graph else "properties"] += 1
        return self.compiled.evaluate(graph, request)


class Counting(Backend):
    """Counts the calls of the reference."""

    name = "counting"

    def __init__(self):
        self.counts = dict.fromkeys(("compile", "update", "gradients", "properties", "flux"), 0)

    def supports(self, model, request, graph=None):
        known = {"energy", "energies", "forces", "stress", "virial", "extrapolation"}
        if not request.names <= known:
            return f"it has no {', '.join(request.names - known)}"
        return choice.REFERENCE.supports(model, request, graph)

    def compile(self, model):
        self.counts["compile"] += 1
        return Counted(choice.REFERENCE.compile(model), self.counts)

    def heat_flux(self, model, graph, velocities):
        self.counts["flux"] += 1
        return choice.REFERENCE.heat_flux(model, graph, velocities)


COUNTING = Counting()


@pytest.fixture
def counting(monkeypatch):
    """The backend, as an installed package adds it."""
    point = EntryPoint("counting", f"{__name__}:COUNTING", engines.GROUP)
    monkeypatch.setattr(engines, "entry_points", lambda group: [point] * (group == engines.GROUP))
    monkeypatch.setattr(COUNTING, "counts", dict.fromkeys(COUNTING.counts, 0))
    return COUNTING


@pytest.fixture
def atoms():
    return random_atoms(3, 5, (True, True, True))


@pytest.fixture
def potential(atoms):
    model = random_model()
    set_range(model, graph_from_atoms(atoms, CUTOFF))
    return Potential(model)


@pytest.mark.parametrize("given", ["its name", "the backend"])
def test_it_predicts_and_runs_the_calculator(counting, potential, atoms, given):
    engine = "counting" if given == "its name" else counting
    other = Potential(random_model(seed=1))
    for one in (potential, Ensemble([potential, other])):
        expected = one.predict(atoms, WANTED, engine="torch")
        found = one.predict(atoms, WANTED, engine=engine)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
        box = atoms.copy()
        box.calc = copy.deepcopy(Calculator(one, engine=engine))
        assert box.calc.backend is counting
        np.testing.assert_allclose(box.get_forces(), expected["forces"], atol=1e-12)
        found = box.calc.get_property("extrapolation", box)
        np.testing.assert_allclose(found, expected["extrapolation"], rtol=1e-9)
    assert counting.counts["properties"] == 3 * (1 + 2)


def test_it_trains_and_evaluates_by_its_name(counting, tmp_path):
    ase.io.write(tmp_path / "a.xyz", ase.io.read(DATA, ":12"))

    def config(folder, engine):
        model = {"cutoff": 3.0, "n_radial": 3, "l_max": 1, "readout": NETWORK, "update": NETWORK}
        return Config(
            data={"train": str(tmp_path / "a.xyz"), "valid": 0.2},
            model=model,
            training={"epochs": 2, "batch_size": 4},
            run={"folder": tmp_path / folder, "threads": 1, "engine": engine},
        )

    runs = [train(config(name, name)) for name in ("counting", "torch")]
    found, expected = (run.potential.model.state_dict() for run in runs)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    counts = dict(counting.counts)
    steps, epochs = counts["gradients"], 3
    assert steps > 0
    assert counts["update"] == steps + epochs  # a step has one part, each epoch is validated
    file = str(tmp_path / "counting" / "model.reann")
    done = CliRunner().invoke(
        app, ["evaluate", file, str(tmp_path / "a.xyz"), "--engine", "counting"]
    )
    assert done.exit_code == 0, done.output
    assert counting.counts["properties"] > counts["properties"]


def test_it_computes_the_heat_flux(counting, potential, atoms):
    atoms.set_velocities(np.ones((len(atoms), 3)))
    found, expected = (heat_flux(potential, atoms, engine) for engine in (counting, "torch"))
    assert np.array_equal(found.potential, expected.potential)
    assert counting.counts["flux"] == 1


def test_what_it_cannot_do_is_an_error_that_says_why(counting, potential, atoms):
    with pytest.raises(UserError, match="engine counting does not support this: it has no virials"):
        potential.predict(atoms, ["virials"], engine=counting)
    with pytest.raises(UserError, match="Did you mean 'counting'"):
        potential.predict(atoms, engine="countin")
    with pytest.raises(UserError, match="did you mean 'counting'"):
        Config(data={"train": "a.xyz"}, run={"engine": "countin"})
    counting.unavailable = lambda: "it is out of order"
    try:
        with pytest.raises(
            UserError, match="The engine counting is not available: it is out of order"
        ):
            Calculator(potential, engine="counting")
    finally:
        del counting.unavailable


def test_the_backend_of_the_documentation_counts_what_is_computed(potential, atoms):
    page = (ROOT / "docs" / "how-to" / "backends.md").read_text(encoding="utf-8")
    (code,) = re.findall(
        r'^```python title="counting.py"\n(.*?)^```', page, re.MULTILINE | re.DOTALL
    )
    module = {}
    exec(code, module)  # noqa: S102 - our own page
    backend = module["COUNTING"]
    atoms.calc = Calculator(potential, engine=backend)
    expected = potential.predict(atoms, ["forces"], engine="torch")["forces"]
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-12)
    compiled = backend.compile(potential.model)
    compiled.evaluate(graph_from_atoms(atoms, CUTOFF), Request.of(["energy"]))
    assert compiled.n_evaluations == 1
    with pytest.raises(UserError, match="engine counting does not support this: it has no virials"):
        potential.predict(atoms, ["virials"], engine=backend)


@each_engine
def test_the_extrapolation_of_an_ensemble_is_the_largest_of_its_members(potential, atoms, engine):
    other = Potential(random_model(seed=1))
    set_range(other.model, graph_from_atoms(random_atoms(4, 5, (True,) * 3), CUTOFF))
    every = [one.predict(atoms, ["extrapolation"], engine) for one in (potential, other)]
    largest = np.max([one["extrapolation"] for one in every], axis=0)
    both = Ensemble([potential, other])
    found = both.predict(atoms, ["extrapolation"], engine)
    np.testing.assert_array_equal(found["extrapolation"], largest)
    atoms.calc = Calculator(both, engine)
    atoms.get_forces()
    assert "extrapolation" not in atoms.calc.results
    np.testing.assert_allclose(atoms.calc.get_property("extrapolation"), largest, rtol=1e-9)
    assert atoms.calc.results["forces"].shape == (5, 3)


@each_engine
def test_the_extrapolation_has_no_gradient_and_changes_none(potential, atoms, engine):
    graph, model = graph_from_atoms(atoms, CUTOFF), potential.model
    gradients = []
    for wanted in (["forces"], ["forces", "extrapolation"]):
        found = choice.evaluate(model, graph, wanted, create_graph=True, engine=engine)
        loss = found["forces"].square().sum()
        gradients.append(
            torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
        )
    assert not found["extrapolation"].requires_grad
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.skipif(choice.NATIVE.unavailable() is not None, reason="no native engine")
def test_weights_that_were_updated_have_no_gradients_of_what_was_before():
    model = random_model()
    graph = graph_from_atoms(ase.build.molecule("H2O"), CUTOFF)
    compiled = choice.NATIVE.compile(model)
    found = compiled.evaluate(graph, Request.of(["energy"], create_graph=True))
    compiled.update(model)
    with pytest.raises(RuntimeError, match="call backward before"):
        found["energy"].sum().backward()


@pytest.mark.skipif(choice.NATIVE.unavailable() is not None, reason="no native engine")
@pytest.mark.parametrize("shared", [True, False])
def test_an_updated_model_leaves_those_of_others_alone(shared):
    model, request = random_model(), Request.of(["energy"])
    graph = graph_from_atoms(ase.build.molecule("H2O"), CUTOFF)
    before = choice.evaluate(model, graph, ["energy"])["energy"]
    other, own = choice.NATIVE.current(model), Compiled(model, shared=shared)
    with torch.no_grad():
        model.readout.last.weight.mul_(2.0)
    own.update(model)
    assert torch.equal(other.evaluate(graph, request)["energy"], before)
    expected = choice.evaluate(model, graph, ["energy"])["energy"]
    assert torch.equal(own.evaluate(graph, request)["energy"], expected)
    assert not torch.equal(expected, before)
