"""`Graph`, the one data structure: atoms, cells and neighbor pairs of a batch of systems.

A single system is a batch of one. Everything the model needs is here, everything else is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """A batch of systems with their neighbor lists.

    Edges hold both directions and are sorted by center. Edge shifts count the cells crossed on
    the way from center to neighbor, so the derivative with respect to strain is right. Labels
    that the reference does not have are NaN.
    """

    positions: Float[Tensor, "atoms 3"]
    """Å, float64."""
    atomic_numbers: Int[Tensor, " atoms"]
    system: Int[Tensor, " atoms"]
    """Index of the system an atom belongs to, ascending."""
    cell: Float[Tensor, "systems 3 3"]
    """Å; rows are lattice vectors; zero along directions without a lattice vector."""
    pbc: Bool[Tensor, "systems 3"]
    edge_index: Int[Tensor, "two edges"]
    """Row 0 the center i, row 1 the neighbor j; ascending in i."""
    edge_shift: Int[Tensor, "edges 3"]
    labels: dict[str, Tensor] = field(default_factory=dict)
    """Labels of `reann.quantities`, first axis atoms or systems, and weight (systems,)."""
    head: Int[Tensor, " systems"] | None = None
    """Index of the head of the model that the labels belong to; None: the first of all."""

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the batch."""
        return self.positions.shape[0]

    @property
    def n_systems(self) -> int:
        """Number of systems in the batch."""
        return self.cell.shape[0]

    @property
    def n_edges(self) -> int:
        """Number of directed neighbor pairs in the batch."""
        return self.edge_index.shape[1]

    @property
    def atoms_per_system(self) -> Int[Tensor, " systems"]:
        """Number of atoms of each system."""
        return torch.bincount(self.system, minlength=self.n_systems)

    @property
    def volume(self) -> Float[Tensor, " systems"]:
        """Unsigned cell volumes in Å^3; zero without a full cell."""
        return torch.linalg.det(self.cell).abs()

    def heads(self) -> Int[Tensor, " systems"]:
        """Return the index of the head of each system."""
        return self.system.new_zeros(self.n_systems) if self.head is None else self.head

    def edge_vectors(self) -> Float[Tensor, "edges 3"]:
        """Return r_ij = r_j - r_i in Å, the only place where edge vectors are computed."""
        center, neighbor = self.edge_index
        crossed = torch.einsum(
            "es,esx->ex", self.edge_shift.to(self.cell.dtype), self.cell[self.system[center]]
        )
        return self.positions[neighbor] - self.positions[center] + crossed

    def to(self, device: torch.device | str) -> Graph:
        """Return the same graph on another device."""
        return self.each(lambda tensor: tensor.to(device))

    def each(self, change: Callable[[Tensor], Tensor]) -> Graph:
        """Return the graph with every tensor changed."""
        return replace(
            self,
            positions=change(self.positions),
            atomic_numbers=change(self.atomic_numbers),
            system=change(self.system),
            cell=change(self.cell),
            pbc=change(self.pbc),
            edge_index=change(self.edge_index),
            edge_shift=change(self.edge_shift),
            labels={name: change(label) for name, label in self.labels.items()},
            head=None if self.head is None else change(self.head),
        )

    @staticmethod
    def batch(graphs: Sequence[Graph]) -> Graph:
        """Concatenate graphs that carry the same labels."""
        first_atom = _offsets([graph.n_atoms for graph in graphs])
        first_system = _offsets([graph.n_systems for graph in graphs])
        return Graph(
            positions=torch.cat([graph.positions for graph in graphs]),
            atomic_numbers=torch.cat([graph.atomic_numbers for graph in graphs]),
            system=torch.cat([g.system + n for g, n in zip(graphs, first_system, strict=True)]),
            cell=torch.cat([graph.cell for graph in graphs]),
            pbc=torch.cat([graph.pbc for graph in graphs]),
            edge_index=torch.cat(
                [g.edge_index + n for g, n in zip(graphs, first_atom, strict=True)], dim=1
            ),
            edge_shift=torch.cat([graph.edge_shift for graph in graphs]),
            labels={
                name: torch.cat([graph.labels[name] for graph in graphs])
                for name in graphs[0].labels
            },
            head=None
            if all(graph.head is None for graph in graphs)
            else torch.cat([graph.heads() for graph in graphs]),
        )


def _offsets(sizes: list[int]) -> list[int]:
    total, offsets = 0, []
    for size in sizes:
        offsets.append(total)
        total += size
    return offsets
