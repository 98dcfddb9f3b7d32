"""Statistics of the density over the training structures: standardization and range.

The standardization is fixed at the start, per element, the same for all recursions. The range is
recorded at the end, so that a prediction can tell which atoms it extrapolates for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from reann.data.dataset import Subset
from reann.data.loader import pieces
from reann.graph import Graph
from reann.model import Reann
from reann.model.reann import Embedding

STATISTICS_STRUCTURES = 100
"""Training structures that the standardization is taken from."""
STATISTICS_EDGES = 200_000
"""Neighbor pairs at once while doing so."""
MEAN_SHARE, LEAST_SCALE = 0.1, 1e-3
"""Scale of a feature: its standard deviation plus this share of its mean, at least this."""


@torch.no_grad()
def set_standardization(model: Reann, train: Subset, seed: int) -> None:
    """Set mean and scale of the density per element from some training structures."""
    if not model.config.standardize:
        return
    old = model.recursion.feature_mean
    n, total, squares = (torch.zeros_like(old, dtype=torch.float64) for _ in "123")
    for _, (rho, atoms) in densities(model, train, STATISTICS_STRUCTURES, seed):
        for z, rho_z in enumerate(rho.to(torch.float64).split(atoms.counts)):
            n[z] += len(rho_z)
            total[z] += rho_z.sum(0)
            squares[z] += rho_z.square().sum(0)
    n = n.clamp(min=1.0)
    mean = total / n
    deviation = (squares / n - mean.square()).clamp(min=0.0).sqrt()
    model.recursion.feature_mean.copy_(mean)
    scale = (deviation + MEAN_SHARE * mean.abs()).clamp(min=LEAST_SCALE)
    model.recursion.feature_scale.copy_(scale)


@torch.no_grad()
def record_ranges(model: Reann, train: Subset) -> None:
    """Set the range of the density per element in the training structures."""
    # An element that is not there keeps its range: that of a warm start, or none.
    low, high = model.density_min.clone(), model.density_max.clone()
    found: set[int] = set()
    for _, (rho, atoms) in densities(model, train):
        for z, rho_z in enumerate(rho.split(atoms.counts)):
            if len(rho_z):
                least, most = rho_z.amin(0), rho_z.amax(0)
                low[z] = torch.minimum(low[z], least) if z in found else least
                high[z] = torch.maximum(high[z], most) if z in found else most
                found.add(z)
    model.density_min.copy_(low)
    model.density_max.copy_(high)


def densities(
    model: Reann, subset: Subset, at_most: int | None = None, seed: int = 0
) -> Iterator[tuple[Graph, Embedding]]:
    """Yield batches of all structures, or of so many drawn with a seed, and their densities."""
    dataset, indices = subset.dataset, subset.indices
    if at_most is not None:
        indices = np.random.default_rng(seed).permutation(indices)[:at_most]
    for batch in pieces(indices, dataset.n_edges, STATISTICS_EDGES):
        graph = dataset.graph(batch).to(model.recursion.feature_mean.device)
        yield graph, model.embed(graph, graph.edge_vectors())
