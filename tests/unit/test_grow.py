"""A potential with new elements and heads is the old one for its old elements and heads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ase.data import atomic_numbers
from tests.models import CUTOFF, random_atoms, random_model, set_range

from reann import properties
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model.reann import with_head
from reann.training.grow import most_similar, with_elements, with_heads

FORMS = [
    {"messages": "equivariant"},
    {"messages": "equivariant", "outputs": ["dipole"], "repulsion": True},
    {"messages": "directional"},
    {"features": "gram"},
    {"host": "deep_pot", "host_options": {}},
    {"zbl": {}},
]


def evaluate(model, graph):
    return properties.evaluate(model, graph, ["energy", "forces"])


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_new_element_changes_nothing_for_the_old_ones_and_is_like_the_one_it_copies(form):
    model = random_model([1, 6, 8], **form)
    graph = graph_from_atoms(random_atoms(3, 8, (False,) * 3), CUTOFF)
    set_range(model, graph)
    grown = with_elements(model, [7, 1, 16])
    assert grown.elements == [1, 6, 8, 7, 16]
    old, new = evaluate(model, graph), evaluate(grown, graph)
    for name, value in old.items():
        torch.testing.assert_close(new[name], value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grown.density_min[:3], model.density_min)
    assert not grown.density_min[3:].isfinite().any()
    if "zbl" in form or "repulsion" in form:
        return
    sulfur = graph.atomic_numbers.clone()
    sulfur[sulfur == 8] = 16
    swapped = evaluate(grown, replace(graph, atomic_numbers=sulfur))
    torch.testing.assert_close(swapped["forces"], old["forces"], rtol=1e-12, atol=1e-12)


def test_new_heads_are_copies_of_the_first_one():
    model = random_model([1, 6, 8], messages="equivariant", heads=["pbe", "rpbe"])
    graph = graph_from_atoms(random_atoms(1, 6, (False,) * 3), CUTOFF)
    grown = with_heads(model, ["ccsd", "rpbe"])
    assert list(grown.heads) == grown.config.heads == ["ccsd", "rpbe"]
    both = Graph.batch([replace(graph, head=torch.tensor([head])) for head in (0, 1)])
    energies = evaluate(grown, both)["energy"]
    expected = [evaluate(with_head(model, name), graph)["energy"] for name in ("pbe", "rpbe")]
    torch.testing.assert_close(energies, torch.cat(expected))


@pytest.mark.parametrize(
    ("element", "expected"),
    [("N", "O"), ("S", "O"), ("Li", "H"), ("Na", "H"), ("Si", "C"), ("F", "O"), ("He", "O")],
)
def test_the_most_similar_element_is_sought_in_the_same_column_first(element, expected):
    known = [1, 6, 8]
    if element == "N":
        known = [1, 8]
    assert most_similar(atomic_numbers[element], known) == atomic_numbers[expected]


@pytest.mark.parametrize(
    ("element", "expected"), [("Ni", "Pd"), ("Ce", "Sc"), ("Hg", "Zn"), ("Tl", "Al"), ("Ra", "Mg")]
)
def test_columns_of_heavy_elements(element, expected):
    known = [atomic_numbers[x] for x in ("Mg", "Al", "Sc", "Zn", "Pd")]
    assert most_similar(atomic_numbers[element], known) == atomic_numbers[expected]
