"""How far atoms lie outside the range of the training, by the reference."""

import pytest
import torch

from models import CUTOFF, random_atoms, random_model, set_range
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph


@pytest.fixture
def model():
    model = random_model()
    set_range(model, graph_from_atoms(random_atoms(5, 6, (True,) * 3), CUTOFF), fixed=3)
    model.density_max[2, 4] = torch.inf  # the training had no oxygen
    return model


@pytest.fixture
def graph():
    masks = ((True,) * 3, (False,) * 3, (True, True, False))
    return Graph.batch(
        [graph_from_atoms(random_atoms(i, 5, pbc), CUTOFF) for i, pbc in enumerate(masks)]
    )


def test_an_atom_extrapolates_where_the_distance_is_larger_than_the_margin(model, graph):
    with torch.no_grad():
        rho, atoms = model.embed(graph, graph.edge_vectors())
    model.density_max[:, 3].add_(0.1)
    low, high = model.density_min[atoms.element], model.density_max[atoms.element]
    counts = []
    for margin in (0.0, 0.05, 0.5, 5.0, 50.0):
        slack = margin * (high - low) + 1e-4 * model.recursion.feature_scale[atoms.element]
        expected = ((rho < low - slack) | (rho > high + slack)).any(1) | (atoms.element == 2)
        assert torch.equal(model.extrapolates(graph, margin), expected[atoms.rank])
        counts.append(int(expected.sum()))
    assert counts[0] > counts[-1] > 0


def test_the_distance_is_measured_in_widths_of_the_range(model, graph):
    with torch.no_grad():
        rho, atoms = model.embed(graph, graph.edge_vectors())
    model.density_min.copy_(rho.amin(0).expand_as(model.density_min) - 1.0)
    model.density_max.copy_(model.density_min + 1e3)
    assert not model.extrapolation(graph).any()
    model.density_max[:, 7] = model.density_min[:, 7] + 0.5
    beyond = (
        rho[:, 7]
        - model.density_max[0, 7]
        - 1e-4 * model.recursion.feature_scale[:, 7][atoms.element]
    )
    expected = (beyond / 0.5).clamp(min=0.0)[atoms.rank]
    assert (expected > 0.1).all()
    torch.testing.assert_close(model.extrapolation(graph), expected)
    model.density_max[:, 7] = model.density_min[:, 7]
    assert model.extrapolation(graph).isinf().all()


def test_without_a_recorded_range_the_distance_is_infinite(graph):
    model = random_model()
    assert not model.has_range
    assert model.extrapolation(graph).isinf().all()
