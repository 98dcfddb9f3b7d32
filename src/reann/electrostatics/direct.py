"""Charges in vacuum: the sum over all pairs of a molecule."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from reann.graph import Graph
from reann.units import COULOMB


def direct_potentials(
    q: Float[Tensor, " atoms"],
    positions: Float[Tensor, "atoms 3"],
    graph: Graph,
    selected: Bool[Tensor, " systems"],
    sigma: float,
) -> Float[Tensor, " atoms"]:
    """Return the potentials at the atoms in V; zero in systems that are not selected."""
    i, j = pairs_of(graph, selected[graph.system])
    r = torch.linalg.vector_norm(positions[j] - positions[i], dim=1)
    return torch.zeros_like(q).index_add(0, i, _interaction(r, sigma) * q[j])


def pair_matrix(positions: Float[Tensor, "atoms 3"], sigma: float) -> Float[Tensor, "atoms atoms"]:
    """Return the interactions of all pairs of atoms of one molecule, eV/e^2: V = matrix q."""
    r = torch.linalg.vector_norm(positions[:, None] - positions, dim=2).fill_diagonal_(1.0)
    return _interaction(r, sigma).fill_diagonal_(0.0)


def _interaction(r: Float[Tensor, "..."], sigma: float) -> Float[Tensor, "..."]:
    return COULOMB * torch.erf(r / (math.sqrt(2.0) * sigma)) / r


def pairs_of(
    graph: Graph, selected: Bool[Tensor, " atoms"]
) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """Return all ordered pairs of different atoms of one system."""
    sizes = graph.atoms_per_system
    start = sizes.cumsum(0) - sizes
    size = sizes[graph.system] * selected
    i = torch.arange(graph.n_atoms, device=graph.positions.device).repeat_interleave(size)
    before = size.cumsum(0) - size
    j = torch.arange(len(i), device=i.device) - before[i] + start[graph.system[i]]
    return i[i != j], j[i != j]
