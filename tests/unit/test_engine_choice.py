"""One choice of engine everywhere: what each name means, and what is said when it cannot be."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.nn.utils.parametrize import register_parametrization
from typer.testing import CliRunner

from models import CUTOFF, random_atoms, random_model
from reann import native, properties
from reann.backends import choice
from reann.backends.protocol import Request
from reann.cli import app
from reann.config import Config
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.model import Reann
from reann.potential import Potential
from reann.training.run import train
from runs import DATA

NAMES = ["energy", "forces"]


@pytest.fixture
def graph():
    return graph_from_atoms(random_atoms(3, 4, (True, True, False)), CUTOFF)


@pytest.fixture
def nowhere(monkeypatch):
    """An installation without the native engine."""
    monkeypatch.setattr(native, "missing", lambda: "it was not compiled")


@pytest.fixture
def everywhere(monkeypatch):
    """An installation with a native engine, which these tests never reach."""
    monkeypatch.setattr(native, "missing", lambda: None)


def unsupported(model, graph, names=("energy",), *, create_graph=False):
    request = Request.of(names, create_graph=create_graph)
    return choice.NATIVE.supports(model, request, graph)


class Extended(Reann):
    """A model with parts that only the reference knows."""


def extended():
    model = random_model()
    model.__class__ = Extended
    return model


def test_an_unknown_engine_is_refused_with_the_nearest_name(graph):
    potential = Potential(random_model())
    for use in (
        lambda: potential.evaluate(graph, NAMES, engine="nativ"),
        lambda: Calculator(potential, engine="nativ"),
    ):
        with pytest.raises(UserError, match="Did you mean 'native'"):
            use()


def test_native_says_everywhere_how_to_install_it(graph, nowhere, tmp_path):
    potential, file = Potential(random_model()), tmp_path / "some.reann"
    potential.save(file)
    config = Config(data={"train": str(DATA)}, run={"engine": "native", "folder": tmp_path / "run"})
    for use in (
        lambda: potential.evaluate(graph, NAMES, engine="native"),
        lambda: potential.predict(random_atoms(3, 4, (True,) * 3), NAMES, engine="native"),
        lambda: Calculator(potential, engine="native"),
        lambda: train(config),
    ):
        with pytest.raises(
            UserError, match=r"native is not available(.|\n)*install a C\+\+ compiler"
        ):
            use()
    assert not (tmp_path / "run" / "config.yaml").exists()
    for words in (
        ["evaluate", str(file), str(DATA)],
        ["md", str(file), str(DATA), "--temperature", "300", "--time", "1fs"],
        ["relax", str(file), str(DATA)],
    ):
        said = CliRunner().invoke(app, [*words, "--engine", "native"])
        assert said.exit_code == 1
        assert "install a C++ compiler" in said.output


@pytest.mark.skipif(not native.available(), reason="no native engine")
def test_an_instruction_set_that_is_none_is_reported(monkeypatch):
    monkeypatch.setenv("REANN_ISA", "v17")
    command = [sys.executable, "-m", "reann", "doctor"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "REANN_ISA is not an instruction set of this processor" in " ".join(said.stdout.split())
    assert "Traceback" not in said.stderr


def test_auto_takes_the_reference_in_silence_where_there_is_no_other(graph, nowhere):
    model = random_model()
    found = choice.evaluate(model, graph, NAMES)
    expected = properties.evaluate(model, graph, NAMES)
    assert all(torch.equal(found[name], expected[name]) for name in NAMES)
    assert choice.chosen("auto", [model]) is choice.REFERENCE


def test_auto_warns_when_it_has_to_take_the_slower_engine(graph, everywhere):
    with pytest.warns(choice.ReferenceWarning, match="not Extended"):
        found = choice.evaluate(extended(), graph, NAMES)
    assert torch.equal(found["energy"], properties.evaluate(random_model(), graph, NAMES)["energy"])
    with pytest.warns(choice.ReferenceWarning, match="not Extended"):
        assert Calculator(Potential(extended())).engine == "torch"
    with pytest.raises(UserError, match="does not support this"):
        choice.evaluate(extended(), graph, NAMES, engine="native")


def test_a_gpu_is_no_reason_to_warn(everywhere, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert choice.chosen("auto", [random_model().to("meta")]) is choice.REFERENCE
    with pytest.raises(UserError, match="CPUs only"):
        choice.chosen("native", [random_model().to("meta")])


def test_the_native_engine_asked_for_computes_where_it_can():
    assert choice.device_for("native", "auto") == "cpu"
    assert choice.device_for("native", "cuda") == "cuda"
    assert choice.device_for("auto", "auto") == "auto"


def test_what_the_native_engine_leaves_to_the_reference(graph, everywhere):
    model = random_model()
    assert unsupported(model, graph, properties.PROPERTIES) is None
    assert unsupported(model, graph, ["stress", "forces"], create_graph=True) is None
    assert "virials" in unsupported(model, graph, ["virials"], create_graph=True)
    with torch.autograd.forward_ad.dual_level():
        assert "forward mode" in unsupported(model, graph)
    model.energy_scale.requires_grad_(True)
    assert "buffers" in unsupported(model, graph, create_graph=True)
    model.energy_scale.requires_grad_(False)
    graph.positions.requires_grad_(True)
    assert "positions" in unsupported(model, graph)


class Doubled(torch.nn.Module):
    def forward(self, x):
        return 2.0 * x


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.register_forward_hook(lambda *x: 2.0 * x[-1]),
        lambda model: model.readout.register_forward_hook(lambda *x: 2.0 * x[-1]),
        lambda model: model.readout.register_forward_pre_hook(lambda _, x: (2.0 * x[0], *x[1:])),
        lambda model: register_parametrization(model.readout.last, "weight", Doubled()),
    ],
)
def test_what_a_program_adds_to_a_module_counts(graph, everywhere, change):
    model = random_model()
    before = properties.evaluate(model, graph, ["energy"])["energy"]
    change(model)
    with pytest.warns(choice.ReferenceWarning, match="hooks"):
        after = choice.evaluate(model, graph, ["energy"])["energy"]
    assert (after - before).abs().max() > 1e-3
    assert torch.equal(after, properties.evaluate(model, graph, ["energy"])["energy"])
    with pytest.raises(UserError, match="hooks"):
        choice.evaluate(model, graph, ["energy"], engine="native")


@pytest.mark.parametrize("name", ["positions", "cell"])
def test_derivatives_of_all_properties_with_respect_to_a_structure_are_right(everywhere, name):
    """Second derivatives, such as the Hessian."""
    model = random_model()
    graph = graph_from_atoms(random_atoms(3, 4, (True, True, True)), CUTOFF)

    def total(graph):
        with pytest.warns(choice.ReferenceWarning, match="gradients of positions"):
            kept = choice.evaluate(model, graph, properties.PROPERTIES, create_graph=True)
        generator = torch.Generator().manual_seed(0)
        return sum((torch.randn(x.shape, generator=generator) * x).sum() for x in kept.values())

    start = getattr(graph, name).clone()
    direction = torch.randn(start.shape, generator=torch.Generator().manual_seed(1)).double()
    ends = [
        total(replace(graph, **{name: (start + x * direction).requires_grad_()})).item()
        for x in (1e-4, -1e-4)
    ]
    moved = start.requires_grad_()
    (gradient,) = torch.autograd.grad(total(replace(graph, **{name: moved})), moved)
    slope = float((gradient * direction).sum())
    assert abs(slope) > 1e-3
    assert (ends[0] - ends[1]) / 2e-4 == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize(
    "name",
    [n for n, b in random_model(zbl={}, repulsion=True).named_buffers() if b.is_floating_point()],
)
def test_a_buffer_at_any_depth_has_the_gradient_of_the_reference(graph, everywhere, name):
    model = random_model(zbl={}, repulsion=True)
    buffer = dict(model.named_buffers())[name].requires_grad_(True)
    assert unsupported(model, graph) is None  # what is not kept has no gradient anyway
    with pytest.warns(choice.ReferenceWarning, match="gradients of buffers"):
        found = choice.evaluate(model, graph, ["energy"], create_graph=True)
    expected = properties.evaluate(model, graph, ["energy"], create_graph=True)
    both = [
        torch.autograd.grad(x["energy"].sum(), buffer, allow_unused=True)[0]
        for x in (found, expected)
    ]
    unused = name in ("density_min", "density_max")
    assert (both[0] is None) is unused
    assert unused or torch.equal(*both)
