"""On another device than the CPU: no tensor of another device, and nothing that waits for it.

The device is `meta`, whose tensors have shapes and no numbers: what would ask a GPU for a number in
the middle of a step is an error here. PyTorch without CUDA has no more than that.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models import random_atoms, random_model
from reann.backends.protocol import Request
from reann.backends.reference import Reference
from reann.backends.triton import channel_kernels, edge_kernels, memory, toolchain
from reann.backends.triton.backend import Triton
from reann.backends.triton.compiled import Compiled
from reann.backends.triton.memory import GIB, Needs, check
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.motion.lists import SkinPairs
from reann.motion.resident import Integrator, Resident

SMALL = {"readout": {"hidden": [4, 4]}, "update": {"hidden": [4, 4]}, "n_recursions": 1}
EVERYTHING = {"repulsion": True, "zbl": {}}
FORMS = {
    "equivariant": SMALL
    | EVERYTHING
    | {"messages": "equivariant", "l_max": 3, "moment_limit": 2.0, "channels": 4},
    "directional": SMALL | EVERYTHING | {"messages": "directional"},
    "scalar": SMALL | EVERYTHING | {"preset": "fast"},
    "upstream": SMALL | {"preset": "upstream"},
    "pairs": SMALL | {"messages": "directional", "radial": "pair"},
    "field": SMALL | {"messages": "equivariant", "l_max": 2, "field": True},
    "field density": SMALL | {"host": "field_density", "l_max": 1, "field": True},
    "heads": SMALL
    | {"messages": "equivariant", "l_max": 2, "heads": ["pbe", "ccsd"]}
    | {"outputs": ["charges", "dipole", "polarizability", "transition_dipole"]},
    "neighbors": SMALL
    | {"preset": "fast", "outputs": ["dipole"], "output_forms": {"dipole": "neighbors"}},
}
MODULES = (channel_kernels, edge_kernels)
NAMES = ["energy", "energies", "forces", "stress", "virial", "virials"]


class OneDevice(TorchDispatchMode):
    """Every operation has tensors of one device, but single numbers and copies."""

    COPIES = ("_to_copy", "copy_")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Compute, after a look at the devices."""
        given = tree_leaves([args, kwargs])
        devices = {x.device.type for x in given if isinstance(x, torch.Tensor) and x.dim()}
        name = function.name().partition("::")[2].partition(".")[0]
        if len(devices) > 1 and name not in self.COPIES:
            raise AssertionError(f"{name} of tensors on {', '.join(sorted(devices))}")
        return function(*args, **(kwargs or {}))


class NoKernel:
    """A kernel that does nothing: there are no numbers."""

    def __getitem__(self, grid):
        assert all(n > 0 for n in grid)
        return lambda *arguments, num_warps: None


def elsewhere(model):
    """Move a model to the other device."""
    for module in model.modules():
        for name, p in module._parameters.items():
            if p is not None:
                module._parameters[name] = torch.nn.Parameter(p.detach().to("meta"))
        for name, b in module._buffers.items():
            if b is not None:
                module._buffers[name] = b.to("meta")
    return model


def the_graph(model):
    every = random_atoms(1, 4), random_atoms(2, 3, (False,) * 3)
    graph = Graph.batch([graph_from_atoms(x, model.cutoff) for x in every])
    head = torch.tensor([0, 1]) if len(model.heads) > 1 else None
    field = torch.ones(2, 3, dtype=torch.float64) if model.config.field else None
    return replace(graph, head=head, field=field).to("meta")


@pytest.fixture
def no_kernels(monkeypatch):
    """Kernels that do nothing."""
    kept = [f for module in MODULES for f in vars(module).values() if hasattr(f, "cache_clear")]
    for module in MODULES:
        monkeypatch.setattr(module, "kernel", lambda *_: NoKernel())
    for function in kept:
        function.cache_clear()
    yield
    for function in kept:
        function.cache_clear()


@pytest.fixture(params=[Reference, Triton], ids=["torch", "triton"])
def compiled(request, no_kernels):
    """Returns a compiled model of one of the engines for GPUs."""
    return request.param().compile


@pytest.mark.parametrize("form", FORMS)
def test_a_step_stays_on_its_device_and_asks_for_no_number(compiled, form):
    model = random_model(**FORMS[form])
    graph = the_graph(model)
    names = [*NAMES, *model.output_names]
    engine = compiled(elsewhere(model))
    with OneDevice():
        found = engine.evaluate(graph, Request.of(names))
        assert found.keys() == set(names)
        assert {x.device.type for x in found.values()} == {"meta"}
        found = engine.evaluate(graph, Request.of(names, create_graph=True))
        sum(x.square().sum() for x in found.values()).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("form", ["equivariant", "directional"])
@pytest.mark.parametrize("backend", [Reference, Triton])
def test_a_heat_flux_stays_on_its_device(no_kernels, backend, form):
    model = random_model(**FORMS[form])
    graph = the_graph(model)
    model, v = elsewhere(model), torch.empty(graph.n_atoms, 3, dtype=torch.float64, device="meta")
    with OneDevice():
        energies, flux = backend().heat_flux(model, graph, v)
    assert (energies.device.type, flux.device.type) == ("meta", "meta")


@pytest.mark.parametrize("compiled", [Triton], indirect=True)
def test_a_step_of_dynamics_asks_for_no_number(compiled):
    """So that it can be captured as a CUDA graph: only a new list and the end of a block ask."""
    model = random_model(**FORMS["scalar"])
    graph = the_graph(model)
    engine = compiled(elsewhere(model))
    pairs = object.__new__(SkinPairs)
    pairs.graph, pairs.positions, pairs.skin = graph, graph.positions, 0.6
    pairs.made_at, pairs.farthest = graph.positions.clone(), graph.positions.new_zeros(())
    own, n = object.__new__(Resident), graph.n_atoms
    own.pairs, own.positions = pairs, graph.positions
    own.integrator = Integrator(0.05, friction=0.2, temperature=0.03)
    own.velocities, own.forces = (graph.positions.new_zeros(n, 3) for _ in range(2))
    own.masses = graph.positions.new_ones(n, 1)
    own.records, own.noise = graph.positions.new_zeros(8, 3), graph.positions.new_zeros(8, 2, n, 3)
    own.step_of_block = graph.system.new_zeros(1)
    own._run_step = own.step

    def forces():
        values = engine.evaluate(pairs.graph, Request.of(["energy", "forces"]))
        return values["energy"].sum(), values["forces"]

    own.compute = forces
    with OneDevice():
        own.steps(0, 2)
    with pytest.raises((RuntimeError, NotImplementedError)):
        own._ended_well(2)


def test_mixed_devices_are_noticed():
    x = torch.ones(3, device="meta")
    with OneDevice(), pytest.raises(AssertionError, match="mul of tensors on cpu, meta"):
        x * torch.ones(3)


def test_memory_is_known_before():
    """More for more channels, and with the graph of a training; known for a number of atoms."""
    inference, training = (Request.of(["energy", "forces"], create_graph=x) for x in (False, True))
    forms = [SMALL | {"messages": "equivariant", "l_max": 1, "channels": n} for n in (4, 8)]
    small, large = (Compiled(random_model(**form)) for form in forms)
    assert small.needs(inference).per_atom < small.needs(training).per_atom
    assert small.needs(inference).per_atom < large.needs(inference).per_atom

    known = small.needs(inference)
    most = known.most_atoms(1e9, 50.0)
    assert 0.85e9 < known.of(most, 50 * most) <= 0.9e9
    assert known.per_atom > 8 * 100, "an atom has more than a hundred numbers"


def test_a_graph_without_room_is_an_error(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda _: 10.0 * GIB)
    model = random_model(**FORMS["scalar"])
    known = Needs(1.0 * GIB, 0.0)
    check(known, graph_from_atoms(random_atoms(1, 4), model.cutoff))
    with pytest.raises(UserError, match="does not have enough memory for 12 atoms: they need 12"):
        check(known, graph_from_atoms(random_atoms(1, 12), model.cutoff))


def test_on_the_cpu_no_limit_of_memory_is_known():
    request = Request.of(["energy", "forces"], create_graph=True)
    assert Triton().most_edges(random_model(**FORMS["scalar"]), request, 20.0) is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"is_available": False}, "PyTorch .* is built for CPUs alone"),
        ({"headers": Path("/nowhere")}, "headers of Python"),
        ({"_is_writable": False}, "cannot be written; set TRITON_CACHE_DIR"),
        ({}, None),
    ],
)
def test_what_triton_lacks_is_a_reason(monkeypatch, tmp_path, found, reason):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setenv("CC", "cc")
    monkeypatch.setattr(torch.version, "cuda", None)
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found.get("is_available", True))
    monkeypatch.setattr(toolchain, "headers", lambda: found.get("headers", tmp_path))
    monkeypatch.setattr(toolchain, "_is_writable", lambda _: found.get("_is_writable", True))
    why = toolchain.missing()
    assert why is None if reason is None else re.search(reason, why)
