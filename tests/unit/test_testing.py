"""`reann.testing` notices what is wrong, and passes what is right."""

from __future__ import annotations

from collections.abc import Callable

import ase
import pytest
import torch
from torch import Tensor

from models import CUTOFF, ELEMENTS, random_atoms, random_model
from reann import testing
from reann.graph import Graph

Energies = Callable[[Graph, Tensor], Tensor]
FULL = (True, True, True)


def per_atom(graph: Graph, of_edges: Tensor) -> Tensor:
    return of_edges.new_zeros(graph.n_atoms).index_add(0, graph.edge_index[0], of_edges)


def pair_term(graph: Graph, r: Tensor) -> Tensor:
    """A right one: sum_j (1 - r / rc)^4."""
    x = (1.0 - torch.linalg.vector_norm(r, dim=1) / CUTOFF).clamp(min=0.0)
    return per_atom(graph, x**4)


def looks_north(graph: Graph, r: Tensor) -> Tensor:
    return pair_term(graph, r) * (1.0 + per_atom(graph, torch.tanh(r[:, 2])) ** 2)


def counts_places(graph: Graph, r: Tensor) -> Tensor:
    return pair_term(graph, r) * torch.arange(1, graph.n_atoms + 1)


def knows_the_size(graph: Graph, r: Tensor) -> Tensor:
    return pair_term(graph, r) * graph.n_atoms


def jumps_at_the_cutoff(graph: Graph, r: Tensor) -> Tensor:
    return per_atom(graph, torch.exp(-torch.linalg.vector_norm(r, dim=1)))


def hides_a_slope(graph: Graph, r: Tensor) -> Tensor:
    return pair_term(graph, r) + pair_term(graph, r.detach())


def is_never_zero(graph: Graph, r: Tensor) -> Tensor:
    return pair_term(graph, r) + 0.1


@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_a_potential_obeys_the_physics(engine):
    predict = testing.predictor(random_model(n_recursions=1), engine=engine)
    testing.check_physics(predict, ELEMENTS, CUTOFF, n_structures=4)


def test_a_term_of_a_few_lines_can_be_checked():
    testing.check_physics(testing.predictor(pair_term, CUTOFF), ELEMENTS, CUTOFF, n_structures=4)


@pytest.mark.parametrize(
    ("energies", "check"),
    [
        (looks_north, testing.assert_frame_does_not_matter),
        (counts_places, testing.assert_order_does_not_matter),
        (knows_the_size, testing.assert_extensive),
        (hides_a_slope, testing.assert_forces_are_slopes),
        (hides_a_slope, testing.assert_stress_is_the_slope),
    ],
)
def test_each_check_notices_what_it_is_for(
    energies: Energies, check: Callable[[testing.Predict, ase.Atoms], None]
):
    predict = testing.predictor(energies, CUTOFF)
    check(testing.predictor(pair_term, CUTOFF), random_atoms(1, 4, FULL))
    with pytest.raises(AssertionError):
        check(predict, random_atoms(1, 4, FULL))
    with pytest.raises(AssertionError):
        testing.check_physics(predict, ELEMENTS, CUTOFF)


def test_a_jump_at_the_cutoff_is_noticed():
    predict = testing.predictor(jumps_at_the_cutoff, CUTOFF)
    with pytest.raises(AssertionError):
        testing.assert_last_neighbor_leaves_smoothly(predict, (1, 6), CUTOFF)


def test_a_free_atom_with_another_energy_is_noticed():
    testing.assert_free_atoms(testing.predictor(pair_term, CUTOFF), {1: 0.0})
    with pytest.raises(AssertionError, match="Z = 1"):
        testing.assert_free_atoms(testing.predictor(is_never_zero, CUTOFF), {1: 0.0})


def test_two_engines_that_differ_are_noticed():
    one, other = (testing.predictor(random_model(seed=seed)) for seed in (0, 1))
    atoms = random_atoms(2, 4, FULL)
    testing.assert_agree(one, one, atoms)
    with pytest.raises(AssertionError, match="energy"):
        testing.assert_agree(one, other, atoms)


def test_a_function_needs_a_cutoff():
    with pytest.raises(ValueError, match="cutoff"):
        testing.predictor(pair_term)
