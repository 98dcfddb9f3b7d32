"""Features and spreads of structures, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from reann.graph import Graph
from reann.model import Reann
from reann.model.last_layer import hidden_features
from reann.potential import Ensemble
from reann.uncertainty.posterior import MAX_EDGES

RIDGE = 1e-2
"""Share of the largest variance below which a direction of the features does not count."""

Progress = Callable[[int], None]


def batches(graphs: Sequence[Graph]) -> Iterator[list[Graph]]:
    """Yield consecutive graphs together, as many as fit."""
    waiting: list[Graph] = []
    for graph in graphs:
        if waiting and sum(g.n_edges + 1 for g in waiting) + graph.n_edges >= MAX_EDGES:
            yield waiting
            waiting = []
        waiting.append(graph)
    if waiting:
        yield waiting


@torch.no_grad()
def features(model: Reann, graphs: Sequence[Graph], progress: Progress) -> NDArray[np.float64]:
    """Return hidden features of structures, means over the atoms of each element, one row each."""
    found = []
    for some in batches(graphs):
        graph = Graph.batch(some).to(model.element_index.device)
        embedding = model.embed(graph, graph.edge_vectors())
        sums = hidden_features(model, graph, embedding)
        element = model.element_index[graph.atomic_numbers]
        counts = sums.new_zeros(sums.shape[:2])
        one = sums.new_ones(graph.n_atoms)
        counts.index_put_((graph.system, element), one, accumulate=True)
        found.append((sums / counts.clamp(min=1.0)[..., None]).flatten(1).cpu().numpy())
        progress(len(some))
    width = sum(w[0].numel() for w in model.readout.last_weights()) * len(model.elements)
    return np.concatenate([np.zeros((0, width)), *found])


class Whitening:
    """Shifts and scales features so that those of the training have mean zero and unit variance.

    Directions in which the training hardly varies are left small.
    """

    def __init__(self, known: NDArray[np.float64]) -> None:
        self.mean = known.mean(0)
        values, self.axes = np.linalg.eigh(np.cov(known, rowvar=False, bias=True))
        self.scale = 1.0 / np.sqrt(np.maximum(values, 0.0) + RIDGE * max(values[-1], 1e-300))

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return whitened features, largest direction last."""
        return (rows - self.mean) @ self.axes * self.scale


def spreads(
    potential: Ensemble, graphs: Sequence[Graph], progress: Progress
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the largest spread of a force of each structure, its atom, and the largest force.

    Spreads are lengths of standard deviations; all in eV/Å.
    """
    spread, atom, force = [], [], []
    for some in batches(graphs):
        graph = Graph.batch(some).to(potential.device)
        found = potential.evaluate(graph, ["forces"])
        of_atoms = np.linalg.norm(found["forces_std"].cpu().numpy(), axis=1)
        forces = np.linalg.norm(found["forces"].cpu().numpy(), axis=1)
        ends = np.cumsum([g.n_atoms for g in some])[:-1]
        for own, size in zip(np.split(of_atoms, ends), np.split(forces, ends), strict=True):
            spread.append(own.max())
            atom.append(int(own.argmax()))
            force.append(size.max())
        progress(len(some))
    return np.array(spread), np.array(atom, dtype=np.int64), np.array(force)
