"""Sums over all pairs of charges: of a molecule in vacuum, and of a few charges in a large cell.

In vacuum V(r) = erf(r / (sqrt(2) sigma)) / r, in a cell V(r) less that of a width w (see `split`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from reann.electrostatics.slopes import Slopes
from reann.graph import Graph
from reann.units import COULOMB


class Pairs:
    """All pairs of the molecules among some systems, for any charges of their atoms."""

    def __init__(
        self,
        graph: Graph,
        selected: Bool[Tensor, " systems"],
        sigma: float,
        wide: Sequence[float] | None = None,
    ) -> None:
        """Compute the pairs of the selected systems; positions of the graph have no gradients.

        `wide` is the width w of each system, infinite (the default) in vacuum, without images.
        """
        i, j = pairs_of(graph, selected[graph.system])
        self.i, self.j = (x[i < j] for x in (i, j))
        self.system, self.n_systems = graph.system, graph.n_systems
        of_pair = graph.system[self.i]
        widths = wide or [math.inf] * graph.n_systems
        w = graph.positions.new_tensor(widths)[of_pair]
        self.vector = graph.positions.detach()[self.j] - graph.positions.detach()[self.i]
        if any(math.isfinite(x) for x in widths):
            self.vector -= _images(self.vector, graph, of_pair)
        r = torch.linalg.vector_norm(self.vector, dim=1)
        self.direction = self.vector / r[:, None]
        self.V = interaction(r, sigma) - interaction(r, w)
        self.slope = (gaussian(r, sigma) - gaussian(r, w) - self.V) / r

    def potentials(self, q: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """Return the potentials at the atoms in V; zero in systems that are not selected."""
        return self._summed(self.V, q)

    def slopes(self, q: Float[Tensor, " atoms"]) -> Slopes:
        """Return energies of charges and the derivatives of their sum."""
        potentials = self.potentials(q)
        at_i, at_j = q[self.i, None], q[self.j, None]
        along = self.slope[:, None] * self.direction
        zero = q.new_zeros(len(q), 3)
        field = zero.index_add(0, self.j, at_i * along).index_add(0, self.i, -at_j * along)
        outer = self.vector[:, :, None] * (at_i * at_j * along)[:, None]
        by_strain = q.new_zeros(self.n_systems, 3, 3)
        by_strain.index_add_(0, self.system[self.i], outer)
        return Slopes(0.5 * q * potentials, potentials, q[:, None] * field, by_strain, field)

    def rates(
        self,
        q: Float[Tensor, " atoms"],
        by_time: Float[Tensor, " atoms"],
        velocity: Float[Tensor, "atoms 3"],
        strain: Float[Tensor, "systems 3 3"],
    ) -> Float[Tensor, " atoms"]:
        """Return the rates of the potentials, from those of charges, positions and strain."""
        moved = velocity[self.j] - velocity[self.i]
        moved = moved + (self.vector[:, None] @ strain[self.system[self.i]])[:, 0]
        rate = self.slope * (moved * self.direction).sum(1)
        return self._summed(self.V, by_time) + self._summed(rate, q)

    def _summed(
        self, of_pairs: Float[Tensor, " pairs"], q: Float[Tensor, " atoms"]
    ) -> Float[Tensor, " atoms"]:
        sums = torch.zeros_like(q).index_add(0, self.i, of_pairs * q[self.j])
        return sums.index_add(0, self.j, of_pairs * q[self.i])


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
    return torch.zeros_like(q).index_add(0, i, interaction(r, sigma) * q[j])


def pair_matrix(positions: Float[Tensor, "atoms 3"], sigma: float) -> Float[Tensor, "atoms atoms"]:
    """Return the interactions of all pairs of atoms of one molecule, eV/e^2: V = matrix q."""
    r = torch.linalg.vector_norm(positions[:, None] - positions, dim=2).fill_diagonal_(1.0)
    return interaction(r, sigma).fill_diagonal_(0.0)


def interaction(r: Float[Tensor, "..."], sigma: float | Tensor) -> Float[Tensor, "..."]:
    """Return V(r) of a width, zero if it is infinite, V/e."""
    return COULOMB * torch.erf(r / (math.sqrt(2.0) * sigma)) / r


def gaussian(r: Float[Tensor, "..."], sigma: float | Tensor) -> Float[Tensor, "..."]:
    """Return the derivative of r V(r), V/e."""
    return COULOMB * math.sqrt(2.0 / math.pi) / sigma * torch.exp(-0.5 * (r / sigma) ** 2)


def _images(
    vector: Float[Tensor, "pairs 3"], graph: Graph, of_pair: Int[Tensor, " pairs"]
) -> Float[Tensor, "pairs 3"]:
    """Return the lattice vectors by which the vectors of pairs become those of nearest images."""
    cell, full = graph.cell.detach(), graph.pbc.all(1)[:, None, None]
    inverse = torch.linalg.inv(torch.where(full, cell, torch.eye(3).to(cell)))
    numbers = (vector[:, None] @ inverse[of_pair]).round()
    return (numbers @ torch.where(full, cell, 0.0)[of_pair])[:, 0]


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
