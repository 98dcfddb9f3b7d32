"""Pairs of structures that low-body descriptors of their atoms cannot tell apart, by formula.

Pozdnyakov and others, Phys. Rev. Lett. 125, 166001 (2020); the three points of the seven-neighbor
pair are scalene, as with isosceles ones the two structures would be congruent.
"""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np

from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph

CH = 1.09
"""Å, all carbon-hydrogen distances of the methane pairs."""
REACH = 3.0
"""Å, cutoff for the chains: beyond one step, 1.6 Å, and below two, also at the bent ends."""


@dataclass(frozen=True)
class Pair:
    """Two structures, and the atoms whose surroundings are compared."""

    name: str
    both: tuple[ase.Atoms, ase.Atoms]
    cutoff: float
    """Å."""
    center_only: bool
    """Only the first atom; else the sums over the atoms of each element."""
    star: bool = False
    """Only pairs with the first atom are neighbors, as with a shorter cutoff."""
    loud: float = 3.0
    """Size of random updates: a signal falls with every hop, and must not drown in rounding."""

    def graphs(self, atoms: ase.Atoms) -> Graph:
        """Return the graph of a structure."""
        graph = graph_from_atoms(atoms, self.cutoff)
        return star(graph) if self.star else graph


def star(graph: Graph) -> Graph:
    """Keep the pairs with the first atom."""
    near = (graph.edge_index == 0).any(0)
    return graph.with_edges(near)


def pairs() -> list[Pair]:
    """Return all pairs."""
    three, four, all_atoms = three_body(), four_body(), methane()
    candidates = [
        Pair("four neighbors", three, 3.0, center_only=True),
        Pair("seven neighbors", four, 5.0, center_only=True),
        Pair("all atoms", all_atoms, 3.0, center_only=False),
        Pair("manifold", manifold_pair(126.0), 3.0, center_only=True),
        Pair("four neighbors, star", three, 3.0, center_only=True, star=True),
        Pair("seven neighbors, star", four, 5.0, center_only=True, star=True),
        Pair("all atoms, star", all_atoms, 3.0, center_only=False, star=True),
        Pair("manifold, star", manifold_pair(126.0), 3.0, center_only=True, star=True),
    ]
    lengths = range(2, 7)
    return candidates + [
        Pair(f"chain {k}", chain(k), REACH, center_only=False, loud=40.0) for k in lengths
    ]


def three_body() -> tuple[ase.Atoms, ase.Atoms]:
    """Return a center with four neighbors: distances and angles at the center are equal."""
    a, b, opposite = (1.0, 0.0, 1.0), (1.0, 1.0, 1.0), (-1.0, -1.0, 1.0)
    first, second = ([(0, 0, 0), a, b, opposite, (0.0, y, 1.0)] for y in (1.0, -1.0))
    return ase.Atoms("CH4", 0.9 * np.array(first)), ase.Atoms("CH4", 0.9 * np.array(second))


def four_body() -> tuple[ase.Atoms, ase.Atoms]:
    """Return a center with seven neighbors, of which all tetrahedra at the center are equal."""
    ring = np.array([(5.0, 0.0), (3.0, 4.0), (-4.0, 3.0)])
    psi = 0.7
    turn = np.array([[np.cos(psi), -np.sin(psi)], [np.sin(psi), np.cos(psi)]])

    def structure(apex: float) -> ase.Atoms:
        upper = [(x, y, 2.0) for x, y in ring]
        lower = [(x, y, -2.0) for x, y in ring @ turn.T]
        points = [(0.0, 0.0, 0.0), *upper, *lower, (0.0, 0.0, apex)]
        return ase.Atoms("CH7", 0.35 * np.array(points))

    return structure(5.0), structure(-5.0)


def methane() -> tuple[ase.Atoms, ase.Atoms]:
    """Return two deformed methanes with the same distances and angles at every atom of a star."""
    h = np.array([(1, 0, 0.7), (0.5**0.5, 0.5**0.5, -0.7), (-(0.5**0.5), -(0.5**0.5), -0.7)])

    def structure(y: float) -> ase.Atoms:
        points = np.concatenate([[(0, 0, 0)], h, [(0, y, 0.7)]])
        return ase.Atoms("CH4", CH / 1.49**0.5 * points)

    return structure(1.0), structure(-1.0)


def manifold_pair(phi: float, elevation: float = 0.0) -> tuple[ase.Atoms, ase.Atoms]:
    """Return X- and X+ for angles in degrees; at an elevation of zero they are degenerate."""

    def sphere(azimuth: float, height: float) -> tuple[float, float, float]:
        a, h = np.radians([azimuth, height])
        return (np.cos(h) * np.cos(a), np.cos(h) * np.sin(a), np.sin(h))

    first = (-np.sin(np.radians(22.5)), 0.0, np.cos(np.radians(22.5)))

    def structure(azimuth: float) -> ase.Atoms:
        h = [first, sphere(-36.0, -30.0), sphere(36.0, 30.0), sphere(azimuth, elevation)]
        return ase.Atoms("CH4", CH * np.array([(0.0, 0.0, 0.0), *h]))

    return structure(-phi), structure(phi)


def chain(k: int, step: float = 1.6) -> tuple[ase.Atoms, ase.Atoms]:
    """Return k atoms in a row with two bent ends, on the same side and on opposite ones."""
    row = [(-0.6, -0.8, 0.0), *((0.0, i, 0.0) for i in range(k))]
    first, second = ([*row, (x, k - 1 + 0.8, 0.0)] for x in (0.6, -0.6))
    symbols = f"C{k + 2}"
    return ase.Atoms(symbols, step * np.array(first)), ase.Atoms(symbols, step * np.array(second))
