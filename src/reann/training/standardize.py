"""Statistics of the density over the training structures: standardization and range.

The standardization is fixed at the start, per element, and is the same for all recursions. The
range is recorded at the end, so that extrapolating atoms can be detected.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from reann.data.dataset import Subset
from reann.data.loader import pieces
from reann.graph import Graph
from reann.model import Reann
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.neighborhood import Neighborhood
from reann.model.reann import Embedding
from reann.model.recursion import Recursion
from reann.training.calibration import calibrate

STATISTICS_STRUCTURES = 100
"""Number of training structures used for the standardization."""
STATISTICS_EDGES = 200_000
"""Neighbor pairs per batch."""
TENSOR_EDGES = 5_000
"""Neighbor pairs per batch if each pair has vectors and tensors of many channels: larger batches do
not fit into the CPU cache and are twice as slow."""
CALIBRATION_EDGES = 500_000
"""Neighbor pairs for the calibration of an equivariant recursion, whose sums are in memory."""
MEAN_SHARE, LEAST_SCALE = 0.1, 1e-3
"""Scale of a feature: its standard deviation plus this fraction of its mean, and a minimum."""


@torch.no_grad()
def set_standardization(model: Reann, train: Subset, seed: int) -> None:
    """Set mean and scale of the density per element from some training structures.

    With equivariant messages, calibrate the recursion.
    """
    recursion = model.recursion
    if isinstance(recursion, EquivariantRecursion):
        calibrate(recursion, _neighborhoods(model, train, seed))
    elif isinstance(recursion, Recursion) and recursion.standardized:
        _standardize(model, recursion, train, seed)


def _standardize(model: Reann, recursion: Recursion, train: Subset, seed: int) -> None:
    old = recursion.feature_mean
    n, total, squares = (torch.zeros_like(old, dtype=torch.float64) for _ in "123")
    for _, (rho, atoms) in densities(model, train, STATISTICS_STRUCTURES, seed):
        for z, rho_z in enumerate(rho.to(torch.float64).split(atoms.counts)):
            n[z] += len(rho_z)
            total[z] += rho_z.sum(0)
            squares[z] += rho_z.square().sum(0)
    n = n.clamp(min=1.0)
    mean = total / n
    deviation = (squares / n - mean.square()).clamp(min=0.0).sqrt()
    recursion.feature_mean.copy_(mean)
    scale = (deviation + MEAN_SHARE * mean.abs()).clamp(min=LEAST_SCALE)
    recursion.feature_scale.copy_(scale)


def _neighborhoods(model: Reann, train: Subset, seed: int) -> list[Neighborhood]:
    """Return the neighborhoods of some training structures that have neighbors."""
    n_edges = train.dataset.n_edges
    indices = drawn(train.indices[n_edges[train.indices] > 0], STATISTICS_STRUCTURES, seed)
    n_structures = max(int(np.searchsorted(n_edges[indices].cumsum(), CALIBRATION_EDGES)), 1)
    graphs = _graphs(model, Subset(train.dataset, indices[:n_structures]))
    return [model.neighborhood(graph, graph.edge_vectors()) for graph in graphs]


@torch.no_grad()
def record_ranges(model: Reann, train: Subset) -> None:
    """Set the range of the density per element in the training structures."""
    # An element that is not in the training set keeps its range from a warm start, if any.
    low, high = model.density_min.clone(), model.density_max.clone()
    present: set[int] = set()
    for _, (rho, atoms) in densities(model, train):
        for z, rho_z in enumerate(rho.split(atoms.counts)):
            if len(rho_z):
                least, most = rho_z.amin(0), rho_z.amax(0)
                low[z] = torch.minimum(low[z], least) if z in present else least
                high[z] = torch.maximum(high[z], most) if z in present else most
                present.add(z)
    model.density_min.copy_(low)
    model.density_max.copy_(high)


def densities(
    model: Reann, subset: Subset, at_most: int | None = None, seed: int = 0
) -> Iterator[tuple[Graph, Embedding]]:
    """Yield batches of structures and their densities, of all or `at_most` random structures."""
    if at_most is not None:
        subset = Subset(subset.dataset, drawn(subset.indices, at_most, seed))
    for graph in _graphs(model, subset):
        yield graph, model.embed(graph, graph.edge_vectors())


def drawn(indices: NDArray[np.int64], at_most: int, seed: int) -> NDArray[np.int64]:
    """Return at most `at_most` structures, in a random order determined by the seed."""
    return np.random.default_rng(seed).permutation(indices)[:at_most]


def _graphs(model: Reann, subset: Subset) -> Iterator[Graph]:
    edges = TENSOR_EDGES if model.recursion.messages == "equivariant" else STATISTICS_EDGES
    for batch in pieces(subset.indices, subset.dataset.n_edges, edges):
        yield subset.dataset.graph(batch).to(model.element_index.device)
