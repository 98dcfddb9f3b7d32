"""The Triton engine equals the reference: every form, every quantity, every gradient."""

from dataclasses import replace

import ase
import pytest
import torch

from models import random_atoms, random_model
from reann.backends.protocol import Request
from reann.backends.reference import Reference
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph

NAMES = ["energy", "energies", "forces", "stress", "virial", "virials"]
SMALL = {"n_radial": 2, "readout": {"hidden": [3, 3]}, "update": {"hidden": [3]}}
EQUIVARIANT = SMALL | {"messages": "equivariant", "channels": 2, "n_recursions": 1}
FORMS = {
    "equivariant, all of it": EQUIVARIANT
    | {"l_max": 3, "moment_limit": 2.0, "repulsion": True, "zbl": {}},
    "equivariant, vectors only": EQUIVARIANT
    | {"l_max": 1, "n_recursions": 2, "radial_basis": "gaussian", "cutoff_function": "polynomial"},
    "equivariant, one layer": EQUIVARIANT | {"l_max": 2, "n_recursions": 0},
    "density": SMALL | {"preset": "density", "messages": "directional", "n_recursions": 1},
    "fast": SMALL | {"preset": "fast", "repulsion": True},
    "pairs of elements": SMALL
    | {"preset": "density", "messages": "directional", "n_recursions": 1, "radial": "pair"},
    "raw components": SMALL
    | {"preset": "upstream", "n_orbitals": 3, "n_recursions": 1, "update": {"hidden": [3, 3]}},
}


def structure(seed, pbc=(True, True, False)):
    """Three atoms, two of which are so close that networks see them at a fixed distance."""
    atoms = random_atoms(seed, 3, pbc)
    atoms.positions[1:] = atoms.positions[0] + [[0.8, 0.4, 0.2], [-0.5, 1.1, 0.8]]
    return atoms


def graph_of(model, *every):
    return Graph.batch([graph_from_atoms(atoms, model.cutoff) for atoms in every])


def evaluated(backend, model, graph, names=NAMES, *, create_graph=False):
    request = Request.of(names, create_graph=create_graph)
    assert backend.supports(model, request, graph) is None
    return backend.current(model).evaluate(graph, request)


def gradients(backend, model, graph):
    """Gradients of a loss of everything that a loss can have."""
    names = ["energy", "forces", "virial"]
    found = evaluated(backend, model, graph, names, create_graph=True)
    generator = torch.Generator().manual_seed(0)
    loss = sum((x * torch.rand(x.shape, generator=generator)).sum() for x in found.values())
    model.zero_grad()
    (loss + found["forces"].square().sum()).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def assert_equal(found, expected, bound):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        size = value.nan_to_num().abs().max().clamp(min=1.0) if value.numel() else 1.0
        torch.testing.assert_close(
            found[name] / size, value / size, rtol=0, atol=bound, equal_nan=True, msg=name
        )


@pytest.mark.parametrize("form", FORMS)
def test_properties_and_gradients_are_those_of_the_reference(engine, form):
    model = random_model(**FORMS[form])
    graph = graph_of(model, structure(1))

    assert_equal(evaluated(engine, model, graph), evaluated(Reference(), model, graph), bound=1e-10)
    found = {k: v.clone() for k, v in gradients(engine, model, graph).items()}
    assert_equal(found, gradients(Reference(), model, graph), bound=1e-10)


def test_single_precision_is_exact_to_its_rounding(engine):
    choices = EQUIVARIANT | {"l_max": 1, "moment_limit": 2.0, "repulsion": True, "zbl": {}}
    model, exact = (random_model(**choices, dtype=t) for t in (torch.float32, torch.float64))
    exact.load_state_dict(model.state_dict())
    graph = graph_of(model, structure(1))

    found = evaluated(engine, model, graph, ["energies", "forces"])
    assert found["energies"].dtype == torch.float64
    assert_equal(found, evaluated(Reference(), exact, graph, ["energies", "forces"]), bound=2e-5)


def test_batches_of_systems_and_heads(engine):
    """Also atoms without neighbors, and elements that are not there."""
    model = random_model(**FORMS["fast"], heads=["pbe", "ccsd"])
    every = structure(1), structure(2, (False,) * 3), ase.Atoms("O", [[0, 0, 0]])
    graph = replace(graph_of(model, *every), head=torch.tensor([0, 1, 1]))
    assert_equal(evaluated(engine, model, graph), evaluated(Reference(), model, graph), bound=1e-10)


@pytest.mark.parametrize("form", ["equivariant, vectors only", "density"])
def test_the_heat_flux(engine, form):
    model = random_model(**FORMS[form] | {"repulsion": True, "zbl": {}})
    graph = graph_of(model, structure(1))
    v = torch.rand(graph.n_atoms, 3, dtype=torch.float64, generator=torch.manual_seed(0)) - 0.5
    found, expected = (b.heat_flux(model, graph, v) for b in (engine, Reference()))
    names = ["energies", "flux"]
    assert_equal(*(dict(zip(names, x, strict=True)) for x in (found, expected)), bound=1e-10)


def test_charge_and_spin(engine):
    model = random_model(**EQUIVARIANT | {"l_max": 1}, inputs=["charge"])
    graph = graph_of(model, structure(1), structure(2, (False,) * 3))
    graph = replace(graph, charge=torch.tensor([1.0, -1.0], dtype=torch.float64))
    assert_equal(evaluated(engine, model, graph), evaluated(Reference(), model, graph), bound=1e-10)


def test_outputs_that_are_read_off_states(engine):
    model = random_model(**EQUIVARIANT | {"l_max": 2}, outputs=["charges", "dipole"])
    graph = graph_of(model, structure(1, (False,) * 3))
    names = ["energy", "forces", "charges", "dipole", "born_effective_charges"]
    assert_equal(
        evaluated(engine, model, graph, names),
        evaluated(Reference(), model, graph, names),
        bound=1e-10,
    )


def test_what_it_leaves_to_others(engine):
    request = Request.of(["energy"])
    charged = random_model(**EQUIVARIANT | {"l_max": 1}, long_range={})
    assert "virials" in engine.supports(charged, Request.of(["virials"]))
    host = random_model(host="deep_pot")
    assert "DeepPot" in engine.supports(host, request)
    no_energy = random_model(**SMALL, preset="fast", outputs=["dipole"], heads=[])
    assert "the model has none" in engine.supports(no_energy, request)
