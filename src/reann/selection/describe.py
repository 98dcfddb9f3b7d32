"""Features and spreads of structures, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reann.graph import Graph
from reann.model import Reann
from reann.model.last_layer import hidden_features
from reann.potential import Ensemble
from reann.uncertainty.posterior import MAX_EDGES

RIDGE = 1e-2
"""Fraction of the largest variance that is added to all, to damp directions of small variance."""


def batches(graphs: Iterable[Graph]) -> Iterator[list[Graph]]:
    """Yield batches of consecutive graphs with at most `MAX_EDGES` edges."""
    waiting: list[Graph] = []
    for graph in graphs:
        if waiting and sum(g.n_edges + 1 for g in waiting) + graph.n_edges >= MAX_EDGES:
            yield waiting
            waiting = []
        waiting.append(graph)
    if waiting:
        yield waiting


@torch.no_grad()
def features(model: Reann, graphs: Sequence[Graph]) -> NDArray[np.float64]:
    """Return hidden features, averaged over the atoms of each element, (structures, features)."""
    graph = Graph.batch(graphs).to(model.element_index.device)
    sums = hidden_features(model, graph, model.embed(graph, graph.edge_vectors()))
    element = model.element_index[graph.atomic_numbers]
    counts = sums.new_zeros(sums.shape[:2])
    counts.index_put_((graph.system, element), sums.new_ones(graph.n_atoms), accumulate=True)
    return (sums / counts.clamp(min=1.0)[..., None]).flatten(1).cpu().numpy()


class Whitening:
    """Transforms features so that those of the training have mean zero and unit covariance.

    Directions in which the training hardly varies stay small.
    """

    def __init__(self, known: NDArray[np.float64]) -> None:
        self.mean = known.mean(0)
        values, self.axes = np.linalg.eigh(np.cov(known, rowvar=False, bias=True))
        self.scale = 1.0 / np.sqrt(np.maximum(values, 0.0) + RIDGE * max(values[-1], 1e-300))

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return whitened features; the direction of the largest variance is last."""
        return (rows - self.mean) @ self.axes * self.scale


class Spread(NamedTuple):
    """Uncertainty of the forces on the atoms of a structure."""

    largest: float
    """Largest length of the standard deviation of a force, eV/Å."""
    atom: int
    """Index of its atom."""
    force: float
    """Largest force, eV/Å."""


def spreads(potential: Ensemble, graphs: Sequence[Graph]) -> list[Spread]:
    """Return the spread of each structure."""
    graph = Graph.batch(graphs).to(potential.device)
    results = potential.evaluate(graph, ["forces"])
    std, force = (
        np.linalg.norm(results[name].cpu().numpy(), axis=1) for name in ("forces_std", "forces")
    )
    ends = np.cumsum([g.n_atoms for g in graphs])[:-1]
    parts = zip(np.split(std, ends), np.split(force, ends), strict=True)
    return [Spread(float(s.max()), int(s.argmax()), float(f.max())) for s, f in parts]
