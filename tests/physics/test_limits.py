"""Free atoms, the cutoff, and the start of a training."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import ase
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import CUTOFF, ELEMENTS, each_engine, forms, random_atoms, random_model, structures
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import build
from reann.model.hosts.angular import angular, components
from reann.potential import Potential


@each_engine
@given(forms, st.sampled_from([torch.float32, torch.float64]), st.integers(0, 100))
def test_a_free_atom_has_its_reference_energy_exactly(
    engine: str, form: dict, dtype: torch.dtype, seed: int
) -> None:
    """Bitwise, at every T, alone and beside molecules in a batch."""
    model = random_model(dtype=dtype, **form)
    free = [graph_from_atoms(ase.Atoms([z]), CUTOFF) for z in ELEMENTS]
    molecules = [graph_from_atoms(random_atoms(seed, 5, (False,) * 3), CUTOFF)]
    batch = Graph.batch([*free, *molecules])
    found = Potential(model).evaluate(batch, ["energy", "forces"], engine)
    assert torch.equal(found["energy"][:3], model.reference_energies.detach())
    assert torch.equal(found["forces"][:3], torch.zeros(3, 3, dtype=torch.float64))


@each_engine
@given(forms)
def test_a_pair_beyond_the_cutoff_does_not_exist(engine: str, form: dict) -> None:
    """A list with a skin is safe: what it holds beyond the cutoff contributes exactly zero."""
    model = random_model(**form)
    atoms = ase.Atoms("OHH", [[0, 0, 0], [0, 0, 1.0], [0.9, 0, CUTOFF + 0.05]])
    short = graph_from_atoms(atoms, CUTOFF)
    long = graph_from_atoms(atoms, CUTOFF + 1.0)
    assert long.n_edges > short.n_edges
    potential = Potential(model)
    for name, expected in potential.evaluate(short, ["energy", "forces"], engine).items():
        # Sums over more slots may round otherwise.
        torch.testing.assert_close(
            potential.evaluate(long, [name], engine)[name], expected, rtol=1e-13, atol=1e-13
        )


@each_engine
@pytest.mark.parametrize(("name", "order"), [("squared_cosine", 4), ("polynomial", 3)])
@pytest.mark.parametrize("n_recursions", [0, 2])
def test_the_last_neighbor_leaves_smoothly(
    engine: str, name: str, order: int, n_recursions: int
) -> None:
    """The density is quadratic in fc ~ x^order: |dE/dr| falls monotonically to zero."""
    model = random_model(cutoff_function=name, n_recursions=n_recursions)
    gaps = np.array([0.2, 0.1, 0.05, 0.02, 0.01])
    slopes = []
    for gap in gaps:
        pair = ase.Atoms("CO", [[0, 0, 0], [0, 0, CUTOFF - gap]])
        slopes.append(np.abs(Potential(model).predict(pair, engine=engine)["forces"]).max())
    assert all(later < earlier for earlier, later in pairwise(slopes))
    # Not steeper near the cutoff than the power law says.
    measured = np.log(slopes[2] / slopes[4]) / np.log(gaps[2] / gaps[4])
    assert measured > 2 * order - 1 - 0.5


@pytest.mark.parametrize("messages", ["scalar", "directional"])
@given(structures)
def test_recursions_start_as_none(messages: str, atoms: ase.Atoms) -> None:
    """With its zero last layers T > 0 equals T = 0 before the first step."""
    graph = graph_from_atoms(atoms, CUTOFF)
    densities = []
    for t in (0, 1, 3):
        config = ModelConfig(cutoff=CUTOFF, n_radial=4, n_recursions=t, messages=messages)
        model = build(config, ELEMENTS, 10.0, seed=1, dtype=torch.float64)
        densities.append(model.embed(graph, graph.edge_vectors()).density)
    torch.testing.assert_close(densities[0], densities[1], rtol=0, atol=1e-14)
    torch.testing.assert_close(densities[0], densities[2], rtol=0, atol=1e-14)


@each_engine
@given(structures, forms)
def test_an_untrained_potential_is_the_sum_of_reference_energies(
    engine: str, atoms: ase.Atoms, form: dict
) -> None:
    form = form | {"zbl": None, "repulsion": False}
    model = build(ModelConfig(cutoff=CUTOFF, n_radial=4, **form), ELEMENTS, 10.0, seed=1)
    with torch.no_grad():
        model.reference_energies.copy_(torch.tensor([-1.0, -2.0, -4.0]))
    found = Potential(model).predict(atoms, engine=engine)
    expected = sum({1: -1.0, 6: -2.0, 8: -4.0}[z] for z in atoms.numbers)
    assert found["energy"] == pytest.approx(expected, abs=1e-12)
    assert np.abs(found["forces"]).max() == 0.0


@given(st.integers(0, 4), st.integers(0, 1000))
def test_angular_functions_multiply_to_powers_of_the_cosine(l_max: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(1, 2, 3, generator=generator, dtype=torch.float64)
    y = angular(vectors, l_max)[0]
    product = (vectors[0, 0] * vectors[0, 1]).sum()
    for l, part in enumerate(components(l_max)):
        assert part.stop - part.start == (l + 1) * (l + 2) // 2
        torch.testing.assert_close((y[part, 0] * y[part, 1]).sum(), product**l)


@pytest.mark.parametrize("messages", ["scalar", "directional", "equivariant"])
def test_the_environment_reaches_one_cutoff_further_with_each_recursion(messages: str) -> None:
    """Atom i feels exactly T + 1 hops (theory: receptive field (T + 1) rc)."""
    chain = ase.Atoms("C6", [[2.5 * i, 0.1 * (i % 2), 0] for i in range(6)])
    graph = graph_from_atoms(chain, CUTOFF)
    for t in range(4):
        model = random_model(n_recursions=t, messages=messages)
        r = graph.edge_vectors().requires_grad_()
        (g,) = torch.autograd.grad(model(graph, r)[0], r)
        felt = graph.edge_index[:, g.abs().sum(1) > 0].max().item()
        assert felt == t + 1


def test_features_of_gram_hold_those_of_orbitals() -> None:
    """Each contracted orbital is a fixed linear map of the Gram matrices."""
    atoms = random_atoms(5, 6, (True, True, True))
    graph = graph_from_atoms(atoms, CUTOFF)
    vectors = graph.edge_vectors()
    source = random_model(n_recursions=0, features="gram")
    gram = source.embed(graph, vectors).density
    model = random_model(n_recursions=0, features="orbitals", n_orbitals=7)
    model.recursion.host.radial.load_state_dict(source.recursion.host.radial.state_dict())
    model.recursion.update.weights.data.copy_(source.recursion.update.weights)
    orbitals = model.embed(graph, vectors).density
    row, column = torch.triu_indices(4, 4)
    twice = torch.where(row == column, 1.0, 2.0**0.5).to(torch.float64)
    d = model.recursion.host.density.contraction[0]
    linear = torch.cat([twice[:, None] * d_l[row] * d_l[column] for d_l in d])
    torch.testing.assert_close(orbitals, gram @ linear)


def test_products_of_many_moments_are_sums_over_chains_and_rings() -> None:
    """Brute force: cosines along 1 - 2 - 3, around 1 - 2 - 3 - 1, along 1 - 2 - 3 - 4."""
    atoms = random_atoms(6, 5, (False, False, False))
    graph = graph_from_atoms(atoms, 20.0)
    model = random_model(n_recursions=0, features="many_body", cutoff=20.0, n_orbitals=3)
    rho, order = model.embed(graph, graph.edge_vectors())
    host: Any = model.recursion.host
    found = rho[order.rank][:, -9:].unflatten(1, (3, 3))
    for i in range(len(atoms)):
        edges = graph.edge_index[0] == i
        vectors = graph.edge_vectors()[edges]
        r = vectors.norm(dim=1)
        z = model.element_index[graph.atomic_numbers[graph.edge_index[1][edges]]]
        radial = host.radial(r[None], z[:1], z[None])[0] * model.recursion.update.weights[z]
        orbitals = radial * host.cutoff_function(r, 20.0)[:, None]
        v, a = orbitals @ host.density.vector, orbitals @ host.density.matrix
        cos = (vectors @ vectors.T) / r / r[:, None]
        chain = torch.einsum("ic,jc,kc,ij,jk->c", v, a, v, cos, cos)
        ring = torch.einsum("ic,jc,kc,ij,jk,ki->c", a, a, a, cos, cos, cos)
        longer = torch.einsum("ic,jc,kc,lc,ij,jk,kl->c", v, a, a, v, cos, cos, cos)
        torch.testing.assert_close(found[i], torch.stack([chain, ring, longer]))
