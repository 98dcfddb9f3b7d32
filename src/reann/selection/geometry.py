"""Structures that nobody should label: atoms that overlap, atoms that flew away."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from reann.data.fingerprint import fingerprints
from reann.graph import Graph

OVERLAP = 0.5
"""Fraction of the sum of covalent radii below which two atoms overlap."""
SHORTER, LONGER = 0.7, 1.5
"""Bounds of distances, in the shortest between these elements and the longest from an atom of this
element to its nearest neighbor in the training."""
LARGEST_FORCE = 100.0
"""eV/Å; a structure with a larger force is not near any that matters."""


class Distances:
    """The shortest distance of each pair of elements, and the longest to a nearest neighbor."""

    def __init__(self) -> None:
        self.shortest: dict[tuple[int, int], float] = {}
        self.longest: dict[int, float] = {}

    def add(self, graph: Graph) -> None:
        """Take the distances of a training structure of more than one atom."""
        numbers = graph.atomic_numbers.numpy()
        for pair, (distance, _, _) in closest_pairs(graph).items():
            self.shortest[pair] = min(distance, self.shortest.get(pair, np.inf))
        if len(numbers) > 1:
            for z, distance in zip(numbers.tolist(), nearest(graph).tolist(), strict=True):
                self.longest[z] = max(distance, self.longest.get(z, 0.0))

    def problem(self, graph: Graph) -> str | None:
        """Return what is wrong with a structure, None if nothing is."""
        for (a, b), (distance, i, j) in closest_pairs(graph).items():
            overlapping = OVERLAP * (covalent_radii[a] + covalent_radii[b])
            known = SHORTER * self.shortest.get((a, b), 0.0)
            if distance < max(overlapping, known):
                names = f"{chemical_symbols[a]} {i} and {chemical_symbols[b]} {j}"
                return f"atoms overlap: {names} are {distance:.2f} Å apart"
        numbers, distances = graph.atomic_numbers.numpy(), nearest(graph)
        limits = np.array([LONGER * self.longest.get(z, np.inf) for z in numbers.tolist()])
        far = np.flatnonzero(distances > limits)
        if len(far) and len(numbers) > 1:
            symbol = chemical_symbols[numbers[far[0]]]
            return f"atoms apart: {symbol} {far[0]} has no neighbor within {limits[far[0]]:.2f} Å"
        return None


def closest_pairs(graph: Graph) -> dict[tuple[int, int], tuple[float, int, int]]:
    """Return the shortest distance in Å and its two atoms, for each pair of elements."""
    lengths = np.linalg.norm(graph.edge_vectors().numpy(), axis=1)
    numbers = graph.atomic_numbers.numpy()
    center, neighbor = graph.center.numpy(), graph.neighbor.numpy()
    a, b = numbers[center], numbers[neighbor]
    order = np.argsort(lengths, kind="stable")
    order = order[a[order] <= b[order]]
    found: dict[tuple[int, int], tuple[float, int, int]] = {}
    pairs = 1000 * a[order] + b[order]
    for first in np.unique(pairs, return_index=True)[1]:
        edge = order[first]
        i, j = int(center[edge]), int(neighbor[edge])
        found[int(a[edge]), int(b[edge])] = float(lengths[edge]), i, j
    return found


def nearest(graph: Graph) -> NDArray[np.float64]:
    """Return the distance of each atom to its nearest neighbor in Å, infinite if there is none."""
    lengths = np.linalg.norm(graph.edge_vectors().numpy(), axis=1)
    found = np.full(graph.n_atoms, np.inf)
    np.minimum.at(found, graph.center.numpy(), lengths)
    return found


def fingerprints_of(structures: Sequence[ase.Atoms]) -> NDArray[np.uint64]:
    """Return the fingerprints of structures; see `reann.data.fingerprint`."""
    if not len(structures):
        return np.zeros(0, dtype=np.uint64)
    return fingerprints(
        np.concatenate([atoms.positions for atoms in structures]),
        np.concatenate([atoms.numbers for atoms in structures]),
        np.stack([atoms.cell.array for atoms in structures]),
        np.stack([atoms.pbc for atoms in structures]),
        np.cumsum([0, *(len(atoms) for atoms in structures)]),
    )
