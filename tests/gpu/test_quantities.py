"""Quantities beside energies and forces: what kernels compute of them equals the reference."""

from dataclasses import replace

import ase
import pytest
import torch

from models import random_atoms, random_model
from reann.backends.protocol import Request
from reann.backends.reference import Reference
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph

SMALL = {"n_radial": 2, "readout": {"hidden": [3]}, "update": {"hidden": [3]}, "n_recursions": 1}
EQUIVARIANT = SMALL | {"messages": "equivariant", "channels": 2}
FORCES = ["energy", "energies", "forces", "virial"]
RESPONSES = ["dipole", "polarizability", "born_effective_charges"]


def molecule(seed=3):
    """Oxygen and hydrogen, or with 8 two carbon atoms."""
    return random_atoms(seed, 2, (False,) * 3)


def graph_of(model, *every, **inputs):
    graph = Graph.batch([graph_from_atoms(atoms, model.cutoff) for atoms in every])
    assert graph.n_edges
    return replace(graph, **{k: torch.tensor(v, dtype=torch.float64) for k, v in inputs.items()})


def assert_is_the_reference(engine, model, graph, names, *, trained=None):
    """Values, and the gradients of a loss of `trained`, by default of all."""
    found, expected = (evaluated(b, model, graph, names) for b in (engine, Reference()))
    assert_close(found, expected)
    trained = names if trained is None else trained
    found, expected = (gradients(b, model, graph, trained) for b in (engine, Reference()))
    assert_close(found, expected)


def evaluated(backend, model, graph, names, *, create_graph=False):
    request = Request.of(names, create_graph=create_graph)
    assert backend.supports(model, request, graph) is None
    return backend.current(model).evaluate(graph, request)


def gradients(backend, model, graph, names):
    values = evaluated(backend, model, graph, names, create_graph=True)
    generator = torch.Generator().manual_seed(0)
    weights = {k: torch.rand(values[k].shape, generator=generator) for k in sorted(values)}
    model.zero_grad()
    sum((x * weights[k] + x * x).sum() for k, x in values.items()).backward()
    every = dict(model.named_parameters())
    return {k: torch.zeros_like(p) if p.grad is None else p.grad.clone() for k, p in every.items()}


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        size = value.abs().max().clamp(min=1.0)
        torch.testing.assert_close(found[name] / size, value / size, rtol=0, atol=1e-10, msg=name)


def test_an_electric_field(engine):
    """Also of an atom without neighbors."""
    model = random_model(**EQUIVARIANT | {"l_max": 2}, field=True)
    every = molecule(), ase.Atoms("O", [[0.1, 0.2, 0.3]])
    graph = graph_of(model, *every, field=[[0.3, -0.2, 0.1], [0.1, 0.0, 0.2]])
    assert_is_the_reference(engine, model, graph, [*FORCES, *RESPONSES])


def test_without_a_field_and_with_a_charge_in_it(engine):
    model = random_model(**EQUIVARIANT | {"l_max": 1}, field=True)
    names = [*FORCES, "dipole"]
    graph = graph_of(model, molecule())
    assert_close(*(evaluated(b, model, graph, FORCES) for b in (engine, Reference())))
    assert_close(*(evaluated(b, model, graph, names) for b in (engine, Reference())))
    ion = graph_of(model, molecule(), field=[[0.3, -0.2, 0.1]], charge=[1.0])
    assert_close(*(evaluated(b, model, ion, names) for b in (engine, Reference())))


@pytest.mark.parametrize(
    ("orbitals", "trained"), [(False, [*FORCES, *RESPONSES]), (True, RESPONSES[:2])]
)
def test_the_density_in_a_field(engine, orbitals, trained):
    """A loss of forces takes another path to the gradients of Gaussians than one without."""
    options = {"n_orbitals": 3, "passes_orbitals": orbitals}
    model = random_model(**SMALL, host="field_density", host_options=options, l_max=1, field=True)
    graph = graph_of(model, molecule(), field=[[0.3, -0.2, 0.1]])
    assert_is_the_reference(engine, model, graph, [*FORCES, *RESPONSES], trained=trained)


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
@pytest.mark.parametrize("pbc", [True, False])
def test_charges(engine, pbc, charges):
    model = random_model(**EQUIVARIANT | {"l_max": 1}, long_range={"charges": charges})
    graph = graph_of(model, random_atoms(1, 2) if pbc else molecule())
    assert_is_the_reference(engine, model, graph, [*FORCES, "stress"] if pbc else FORCES)


@pytest.mark.parametrize(
    ("outputs", "forms", "heads"),
    [
        (["dipole", "transition_dipole"], {}, True),
        (["dipole"], {"dipole": "neighbors"}, False),
        (["polarizability"], {}, False),
        (["polarizability"], {"polarizability": "eann"}, True),
    ],
)
def test_networks_of_vectors_and_matrices(engine, outputs, forms, heads):
    """Also of a model without energies."""
    choices = {} if heads else {"heads": []}
    model = random_model(
        **SMALL | {"preset": "fast"}, outputs=outputs, output_forms=forms, **choices
    )
    graph = graph_of(model, molecule(3), molecule(8))
    born = ["born_effective_charges"] if "dipole" in outputs else []
    assert_is_the_reference(
        engine, model, graph, [*outputs, *born, *(["energy", "forces"] if heads else [])]
    )


def test_gradients_of_the_virials_of_atoms(engine):
    model = random_model(**SMALL | {"preset": "fast"})
    graph = graph_of(model, random_atoms(1, 2))
    assert_is_the_reference(engine, model, graph, ["energy", "virials"])
