"""The repulsion of close pairs: its onset and its amplitude.

It begins at the shortest distance of each pair of elements in the training set. After the training
its amplitude is increased until isolated pairs repel each other at all distances up to `CLOSEST`
of the onset, regardless of the network.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from reann import properties
from reann.data.dataset import Subset
from reann.data.loader import pieces
from reann.graph import Graph
from reann.model import Reann
from reann.training.standardize import STATISTICS_EDGES

CLOSEST = 0.95
"""Fraction of the onset up to which pairs are made repulsive; beyond, the repulsion is too soft."""
N_DISTANCES = 200
"""Number of distances at which pairs are checked."""
LEAST_FORCE = 0.1
"""Minimum repulsive force of two atoms at these distances, eV/Å."""


@torch.no_grad()
def set_repulsion(model: Reann, train: Subset, *, before: bool = False) -> None:
    """Set the onset of the repulsion to the shortest distances in the training set.

    For elements without a pair within the cutoff, it remains the sum of their covalent radii.

    Parameters
    ----------
    before
        Whether the model was trained before; then the onset is never increased.
    """
    if model.repulsion is None:
        return
    shortest, start = shortest_distances(model, train), model.repulsion.start
    known = torch.minimum(start, shortest) if before else shortest
    model.repulsion.begin_at(torch.where(shortest.isfinite(), known, start))


def shortest_distances(model: Reann, train: Subset) -> Float[Tensor, "elements elements"]:
    """Return the shortest distances of pairs within the cutoff, Å; infinite if there are none."""
    start, index = model.reference_energies, model.element_index
    n = len(model.elements)
    shortest = torch.full((n * n,), torch.inf, dtype=torch.float64, device=start.device)
    for batch in pieces(train.indices, train.dataset.n_edges, STATISTICS_EDGES):
        graph = train.dataset.graph(batch).to(start.device)
        r = torch.linalg.vector_norm(graph.edge_vectors(), dim=-1)
        center, neighbor = index[graph.atomic_numbers[graph.edge_index]]
        inside = r < model.cutoff
        shortest.scatter_reduce_(0, (n * center + neighbor)[inside], r[inside], "amin")
    table = shortest.reshape(n, n)
    return torch.minimum(table, table.mT)


@torch.no_grad()
def keep_repulsive(model: Reann) -> None:
    """Increase the amplitude until isolated pairs repel each other up to `CLOSEST` of the onset."""
    repulsion = model.repulsion
    if repulsion is None:
        return
    fractions = torch.linspace(CLOSEST / N_DISTANCES, CLOSEST, N_DISTANCES, dtype=torch.float64)
    r = fractions.to(repulsion.start)[:, None, None] * repulsion.start
    force = torch.stack([pair_forces(model, r, head) for head in range(len(model.heads))]).amin(0)
    needed = (LEAST_FORCE - force) / repulsion.stiffness(r)
    increase = needed.amax(0).clamp(min=0.0)
    repulsion.amplitude.add_(torch.maximum(increase, increase.mT))


def pair_forces(
    model: Reann, r: Float[Tensor, "distances elements elements"], head: int
) -> Float[Tensor, "distances elements elements"]:
    """Return the forces between isolated pairs of atoms, eV/Å; positive if repulsive."""
    numbers = torch.tensor(model.elements, device=r.device)
    pair = torch.stack([numbers[:, None].expand(r.shape), numbers.expand(r.shape)], -1)
    n = r.numel()
    positions = r.new_zeros(n, 2, 3)
    positions[:, 1, 0] = r.reshape(-1)
    atoms = torch.arange(2 * n, device=r.device)
    graph = Graph(
        positions=positions.reshape(-1, 3),
        atomic_numbers=pair.reshape(-1),
        system=atoms // 2,
        cell=r.new_zeros(n, 3, 3),
        pbc=torch.zeros(n, 3, dtype=torch.bool, device=r.device),
        first=torch.arange(2 * n + 1, device=r.device),
        neighbor=(atoms ^ 1).to(torch.int32),
        edge_shift=torch.zeros(2 * n, 3, dtype=torch.int32, device=r.device),
        head=torch.full((n,), head, device=r.device),
    )
    forces = properties.evaluate(model, graph, ["forces"])["forces"]
    return forces[1::2, 0].reshape(r.shape)
