"""Detection of unphysical structures: overlapping atoms, isolated atoms."""

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
"""Bounds of distances, relative to the training data: to the shortest distance of a pair of
elements, and to the longest distance of an atom of an element from its nearest neighbor."""
LARGEST_FORCE = 100.0
"""eV/Å; structures with larger forces are irrelevant."""


class Distances:
    """Shortest distance of each pair of elements, and longest distance to a nearest neighbor."""

    def __init__(self) -> None:
        self.shortest: dict[tuple[int, int], float] = {}
        self.longest: dict[int, float] = {}

    def add(self, graph: Graph) -> None:
        """Include the distances in a training structure."""
        numbers = graph.atomic_numbers.numpy()
        for pair, (distance, _, _) in closest_pairs(graph).items():
            self.shortest[pair] = min(distance, self.shortest.get(pair, np.inf))
        if len(numbers) > 1:
            for z, distance in zip(numbers.tolist(), nearest(graph).tolist(), strict=True):
                self.longest[z] = max(distance, self.longest.get(z, 0.0))

    def problem(self, graph: Graph) -> str | None:
        """Return why a structure is unphysical, None if it is not."""
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
            return (
                f"isolated atoms: {symbol} {far[0]} has no neighbor within {limits[far[0]]:.2f} Å"
            )
        return None


def closest_pairs(graph: Graph) -> dict[tuple[int, int], tuple[float, int, int]]:
    """Return the shortest distance (Å) and its two atoms for each pair of elements."""
    lengths = np.linalg.norm(graph.edge_vectors().numpy(), axis=1)
    numbers = graph.atomic_numbers.numpy()
    center, neighbor = graph.center.numpy(), graph.neighbor.numpy()
    a, b = numbers[center], numbers[neighbor]
    order = np.argsort(lengths, kind="stable")
    order = order[a[order] <= b[order]]
    closest: dict[tuple[int, int], tuple[float, int, int]] = {}
    pairs = 1000 * a[order] + b[order]
    for first in np.unique(pairs, return_index=True)[1]:
        edge = order[first]
        i, j = int(center[edge]), int(neighbor[edge])
        closest[int(a[edge]), int(b[edge])] = float(lengths[edge]), i, j
    return closest


def nearest(graph: Graph) -> NDArray[np.float64]:
    """Return the distance of each atom to its nearest neighbor in Å, infinite if there is none."""
    lengths = np.linalg.norm(graph.edge_vectors().numpy(), axis=1)
    distances = np.full(graph.n_atoms, np.inf)
    np.minimum.at(distances, graph.center.numpy(), lengths)
    return distances


Identity = tuple[int, tuple[float, ...]]
"""Fingerprint of a geometry, and the inputs of the model: charge, spin, field."""


def identity_of(fingerprint: int, graph: Graph) -> Identity:
    """Return what makes a structure different from others; absent inputs have their defaults."""
    inputs = (graph.charges(), graph.spins(), graph.fields())
    return fingerprint, tuple(x for values in inputs for x in values.flatten().tolist())


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
