"""Structures that only orientations tell apart: scalar messages cannot, all others can.

Pairs of graphs of which each atom sees the same distances and angles. k-chains: k atoms in a row,
edges along the chain, the last of two end atoms turned to one side or the other (arXiv 2301.09308).
Stars: a center and four neighbors that do not see each other, with the same angles but not
congruent (Pozdnyakov et al., Phys. Rev. Lett. 125, 166001, 2020).
"""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models import CUTOFF, each_engine, random_model
from reann.backends import choice
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann

STEP = 1.6
"""Å between atoms of a chain; those after the next lie beyond the cutoff."""


def chains(k: int) -> list[ase.Atoms]:
    """Return the two k-chains."""
    row = [(0.0, i, 0.0) for i in range(k)]
    ends = [(-0.6, -0.8, 0.0)], [(x, k - 1 + 0.8, 0.0) for x in (0.6, -0.6)]
    return [ase.Atoms(f"C{k + 2}", STEP * np.array(ends[0] + row + [end])) for end in ends[1]]


def stars() -> list[ase.Atoms]:
    """Return two stars with equal angles at the center."""
    a, b, other_b = (1.0, 0.0, 1.0), (1.0, 1.0, 1.0), (-1.0, -1.0, 1.0)
    return [
        ase.Atoms("CH4", 0.9 * np.array([(0, 0, 0), a, b, other_b, (0.0, y, 1.0)]))
        for y in (1.0, -1.0)
    ]


def graph_of(atoms: ase.Atoms, *, star: bool) -> Graph:
    graph = graph_from_atoms(atoms, CUTOFF)
    if not star:
        return graph
    kept = (graph.edge_index == 0).any(0)
    return graph.with_edges(kept)


def talkative_model(elements: list[int], **choices: object) -> Reann:
    """Return a random model with large updates: a signal falls with every hop."""
    model = random_model(elements, **choices)
    with torch.no_grad():
        for update in model.recursion.update.networks:
            update.last.weight.mul_(10.0)
    return model


def are_told_apart(model: Reann, pair: list[ase.Atoms], engine: str, *, star: bool = False) -> bool:
    """Whether energies differ by far more than those of two turned copies."""
    turned = pair[0].copy()
    turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    turned.positions = turned.positions @ turn.T

    def energy(atoms: ase.Atoms) -> float:
        graph = graph_of(atoms, star=star)
        return choice.evaluate(model, graph, ["energy"], engine=engine)["energy"].item()

    one, same, other = (energy(atoms) for atoms in (pair[0], turned, pair[1]))
    rounding = max(abs(one - same), 1e-16 * abs(one))
    difference = abs(one - other)
    assert difference < 100 * rounding or difference > 1e4 * rounding
    return difference > 1e4 * rounding


@each_engine
@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("n_recursions", [0, 1, 2, 3])
@pytest.mark.parametrize("messages", ["scalar", "directional"])
def test_orientations_travel_along_a_chain_with_directional_messages_only(
    engine: str, k: int, n_recursions: int, messages: str
) -> None:
    """They meet where both ends are felt: after k // 2 recursions."""
    model = talkative_model([6], n_recursions=n_recursions, messages=messages)
    found = are_told_apart(model, chains(k), engine)
    assert found == (messages == "directional" and n_recursions >= k // 2)


@each_engine
@pytest.mark.parametrize("n_recursions", [0, 1, 2])
@pytest.mark.parametrize("messages", ["scalar", "directional"])
def test_the_neighbors_of_a_star_learn_of_each_other_with_directional_messages_only(
    engine: str, n_recursions: int, messages: str
) -> None:
    model = talkative_model([1, 6], n_recursions=n_recursions, messages=messages, features="gram")
    found = are_told_apart(model, stars(), engine, star=True)
    assert found == (messages == "directional" and n_recursions >= 1)


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("n_recursions", [0, 1, 2])
def test_orientations_travel_along_a_chain_with_equivariant_messages(
    k: int, n_recursions: int
) -> None:
    model = random_model([6], n_recursions=n_recursions, messages="equivariant")
    assert are_told_apart(model, chains(k), "torch") == (n_recursions >= k // 2)


def test_the_neighbors_of_a_star_learn_of_each_other_with_equivariant_messages() -> None:
    """With products of two moments at the center alone; see also the stars above."""
    found = []
    for t in (0, 1):
        model = random_model([1, 6], n_recursions=t, messages="equivariant", l_max=1)
        found.append(are_told_apart(model, stars(), "torch", star=True))
    assert found == [False, True]
