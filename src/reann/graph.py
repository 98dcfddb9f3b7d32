"""`Graph`: atoms, cells and neighbor pairs of a batch of systems, the input of a model.

A single system is a batch of size one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Sizes(NamedTuple):
    """Sizes of a graph."""

    composition: dict[int, int]
    """Number of atoms by atomic number."""
    most_neighbors: int
    """Largest number of neighbors of an atom."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A batch of systems with their neighbor lists.

    The neighbors of each atom are contiguous, starting with those of atom 0; neighbor lists, caches
    and backends use the same layout. Pairs are stored in both directions. Edge shifts are the
    number of cells crossed from center to neighbor, which gives the correct derivative with respect
    to strain. Missing labels are NaN.
    """

    positions: Float[Tensor, "atoms 3"]
    """Å, float64."""
    atomic_numbers: Int[Tensor, " atoms"]
    system: Int[Tensor, " atoms"]
    """Index of the system an atom belongs to, ascending."""
    cell: Float[Tensor, "systems 3 3"]
    """Å; rows are lattice vectors; zero along directions without a lattice vector."""
    pbc: Bool[Tensor, "systems 3"]
    first: Int[Tensor, " atoms_and_end"]
    """The neighbors of atom i are first[i] .. first[i + 1], (atoms + 1,), int64."""
    neighbor: Int[Tensor, " edges"]
    """Index of the neighbor of each edge, int32."""
    edge_shift: Int[Tensor, "edges 3"]
    labels: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    """Labels of `reann.quantities`, first axis atoms or systems, and weight (systems,)."""
    head: Int[Tensor, " systems"] | None = None
    """Index of the head of the model that the labels belong to; None for the first head."""
    charge: Float[Tensor, " systems"] | None = None
    """Total charge in e, float64; None if neutral."""
    spin: Float[Tensor, " systems"] | None = None
    """Spin multiplicity 2S + 1, float64; None: singlets."""
    field: Float[Tensor, "systems 3"] | None = None
    """Electric field in V/Å, float64; None if there is no field."""

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
        return self.neighbor.shape[0]

    @cached_property
    def center(self) -> Int[Tensor, " edges"]:
        """Index of the center of each edge, ascending."""
        atoms = torch.arange(self.n_atoms, device=self.first.device)
        return atoms.repeat_interleave(self.first.diff(), output_size=self.n_edges)

    @property
    def edge_index(self) -> Int[Tensor, "two edges"]:
        """Center and neighbor of each edge, as two rows."""
        return torch.stack([self.center, self.neighbor.to(torch.int64)])

    @cached_property
    def atoms_per_system(self) -> Int[Tensor, " systems"]:
        """Number of atoms of each system."""
        # Not `bincount`, which waits for a GPU.
        zero = self.system.new_zeros(self.n_systems)
        return zero.index_add(0, self.system, torch.ones_like(self.system))

    @property
    def volume(self) -> Float[Tensor, " systems"]:
        """Unsigned cell volumes in Å^3; zero without a full cell."""
        return torch.linalg.det(self.cell).abs()

    @cached_property
    def sizes(self) -> Sizes:
        """Sizes of the graph.

        They are kept when a graph moves to a GPU, because reading them there would wait for all
        running computations.
        """
        numbers, counts = torch.unique(self.atomic_numbers, return_counts=True)
        composition = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        degrees = self.first.diff()
        return Sizes(composition, int(degrees.max()) if len(degrees) else 0)

    def heads(self) -> Int[Tensor, " systems"]:
        """Return the index of the head of each system."""
        return self.system.new_zeros(self.n_systems) if self.head is None else self.head

    def charges(self) -> Float[Tensor, " systems"]:
        """Return the total charge of each system, e."""
        return self.cell.new_zeros(self.n_systems) if self.charge is None else self.charge

    def spins(self) -> Float[Tensor, " systems"]:
        """Return the spin multiplicity of each system."""
        return self.cell.new_ones(self.n_systems) if self.spin is None else self.spin

    def fields(self) -> Float[Tensor, "systems 3"]:
        """Return the electric field of each system, V/Å."""
        return self.cell.new_zeros(self.n_systems, 3) if self.field is None else self.field

    def edge_vectors(self) -> Float[Tensor, "edges 3"]:
        """Return r_ij = r_j - r_i in Å, the only place where edge vectors are computed."""
        center, neighbor = self.center, self.neighbor
        crossed = torch.einsum(
            "es,esx->ex", self.edge_shift.to(self.cell.dtype), self.cell[self.system[center]]
        )
        return self.positions[neighbor] - self.positions[center] + crossed

    def with_values(self, **tensors: Tensor) -> Graph:
        """Return the graph with other positions, cells or inputs of the same atoms and neighbors.

        Its sizes stay known.
        """
        changed = replace(self, **tensors)
        if "sizes" in self.__dict__:
            changed.__dict__["sizes"] = self.sizes
        return changed

    def with_edges(self, kept: Bool[Tensor, " edges"]) -> Graph:
        """Return the graph with only some of its edges."""
        counts = torch.zeros_like(self.first)
        counts[1:] = torch.bincount(self.center[kept], minlength=self.n_atoms)
        return replace(
            self,
            first=counts.cumsum(0),
            neighbor=self.neighbor[kept],
            edge_shift=self.edge_shift[kept],
        )

    def to(self, device: torch.device | str) -> Graph:
        """Return the same graph on another device.

        Copies of pinned memory to a GPU are asynchronous.
        """
        leaves = self.positions.device.type == "cpu" and torch.device(device).type != "cpu"
        if leaves:
            _ = self.sizes
        return self.each(lambda tensor: tensor.to(device, non_blocking=leaves))

    def pinned(self) -> Graph:
        """Return the graph in pinned memory, with its sizes computed."""
        _ = self.sizes
        return self.each(Tensor.pin_memory)

    def each(self, change: Callable[[Tensor], Tensor]) -> Graph:
        """Return the graph with a function applied to all tensors, which keeps their values."""
        changed = replace(
            self,
            positions=change(self.positions),
            atomic_numbers=change(self.atomic_numbers),
            system=change(self.system),
            cell=change(self.cell),
            pbc=change(self.pbc),
            first=change(self.first),
            neighbor=change(self.neighbor),
            edge_shift=change(self.edge_shift),
            labels={name: change(label) for name, label in self.labels.items()},
            head=None if self.head is None else change(self.head),
            charge=None if self.charge is None else change(self.charge),
            spin=None if self.spin is None else change(self.spin),
            field=None if self.field is None else change(self.field),
        )
        if "sizes" in self.__dict__:
            changed.__dict__["sizes"] = self.sizes
        return changed

    @staticmethod
    def batch(graphs: Sequence[Graph]) -> Graph:
        """Concatenate graphs with the same labels."""
        first_atom = _offsets([graph.n_atoms for graph in graphs])
        first_edge = _offsets([graph.n_edges for graph in graphs])
        first_system = _offsets([graph.n_systems for graph in graphs])
        return Graph(
            positions=torch.cat([graph.positions for graph in graphs]),
            atomic_numbers=torch.cat([graph.atomic_numbers for graph in graphs]),
            system=torch.cat([g.system + n for g, n in zip(graphs, first_system, strict=True)]),
            cell=torch.cat([graph.cell for graph in graphs]),
            pbc=torch.cat([graph.pbc for graph in graphs]),
            first=torch.cat(
                [g.first[:-1] + n for g, n in zip(graphs, first_edge, strict=True)]
                + [graphs[0].first.new_tensor([sum(g.n_edges for g in graphs)])]
            ),
            neighbor=torch.cat([g.neighbor + n for g, n in zip(graphs, first_atom, strict=True)]),
            edge_shift=torch.cat([graph.edge_shift for graph in graphs]),
            labels={
                name: torch.cat([graph.labels[name] for graph in graphs])
                for name in graphs[0].labels
            },
            head=_joined([g.head for g in graphs], [g.heads() for g in graphs]),
            charge=_joined([g.charge for g in graphs], [g.charges() for g in graphs]),
            spin=_joined([g.spin for g in graphs], [g.spins() for g in graphs]),
            field=_joined([g.field for g in graphs], [g.fields() for g in graphs]),
        )


def _joined(optional: Sequence[Tensor | None], values: Sequence[Tensor]) -> Tensor | None:
    """Return the concatenated values of all graphs; None if no graph has them."""
    return None if all(tensor is None for tensor in optional) else torch.cat(list(values))


def _offsets(sizes: list[int]) -> list[int]:
    total, offsets = 0, []
    for size in sizes:
        offsets.append(total)
        total += size
    return offsets
