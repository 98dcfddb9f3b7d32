"""The neighbors of all atoms as rows of a table, atoms in the order of the elements.

Atoms are sorted by element, so that the network of an element acts on a slice. Neighbors fill the
slots of a rectangular table, so that sums over neighbors are matrix products; empty slots hold a
vector beyond the cutoff, where all radial functions are exactly zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """Neighbors of all atoms of a batch; `atoms` are in the order of their elements."""

    element: Int[Tensor, " atoms"]
    """Index of the element in the model's list, ascending."""
    counts: list[int]
    """Atoms of each element."""
    rank: Int[Tensor, " atoms"]
    """Position of each atom of the graph in the order of the elements."""
    neighbor: Int[Tensor, "atoms slots"]
    vector: Float[Tensor, "atoms slots 3"]
    """Å, from center to neighbor."""
    head: Int[Tensor, " atoms"] | None = None
    """Index of the head of each atom; None: the first one."""
    field: Float[Tensor, "atoms 3"] | None = None
    """Electric field at each atom, V/Å; None: no field."""
    inputs: Float[Tensor, "atoms numbers"] | None = None
    """Numbers of charge and spin from `reann.model.inputs`; None: the model has no such inputs."""

    @classmethod
    def of(
        cls,
        edges: tuple[Tensor, Tensor, Tensor],
        vectors: Float[Tensor, "edges 3"],
        element: Int[Tensor, " atoms"],
        n_elements: int,
        beyond: float,
        *,
        head: Int[Tensor, " atoms"] | None = None,
        field: Float[Tensor, "atoms 3"] | None = None,
        inputs: Float[Tensor, "atoms numbers"] | None = None,
        sizes: list[int] | None = None,
    ) -> Neighborhood:
        """Return the neighborhood of the edges of a graph.

        Parameters
        ----------
        edges
            Offsets of the edges of each atom, (atoms + 1,); center (ascending) and neighbor of each
            edge, (edges,).
        vectors
            Edge vectors in Å, the variables of the derivatives.
        element
            Index of the element of each atom, in the order of the graph.
        beyond
            Length of the vectors in empty slots, larger than the cutoff, Å.
        head
            Index of the head of each atom, in the order of the graph.
        field
            Electric field at each atom in V/Å, in the order of the graph.
        inputs
            Numbers of charge and spin of each atom, in the order of the graph.
        sizes
            Atoms of each element, and the largest number of neighbors. If None they are counted,
            which synchronizes with a GPU.
        """
        n_atoms = element.shape[0]
        order = torch.argsort(element, stable=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(n_atoms, device=order.device)

        first, center, neighbor = edges
        slot = torch.arange(center.shape[0], device=center.device) - first[center]
        *counts, n_slots = sizes or _counted(element, n_elements, first)
        row = rank[center]

        rows = torch.arange(n_atoms, device=center.device)
        table = rows[:, None].repeat(1, n_slots).view(-1)
        place = row * n_slots + slot
        table[place] = rank[neighbor]
        empty = vectors.new_zeros(n_atoms * n_slots, 3)
        empty[:, 0] = beyond
        padded = empty.index_copy(0, place, vectors)
        return cls(
            element=element[order],
            counts=counts,
            rank=rank,
            neighbor=table.view(n_atoms, n_slots),
            vector=padded.view(n_atoms, n_slots, 3),
            head=None if head is None else head[order],
            field=None if field is None else field[order],
            inputs=None if inputs is None else inputs[order],
        )

    def of_neighbors(self, values: Float[Tensor, "atoms ..."]) -> Float[Tensor, "atoms slots ..."]:
        """Return the values of the neighbors of all atoms."""
        chosen = values.index_select(0, self.neighbor.reshape(-1))
        return chosen.view(*self.neighbor.shape, *values.shape[1:])


def _counted(
    element: Int[Tensor, " atoms"], n_elements: int, first: Int[Tensor, " atoms_and_end"]
) -> list[Any]:
    """Return the sizes as numbers; while a trace is recorded, as what it computes of others."""
    of_elements = torch.bincount(element, minlength=n_elements)
    largest = functional.pad(first.diff(), (0, 1)).amax(0, keepdim=True)
    sizes = torch.cat([of_elements, largest])
    return list(sizes.unbind()) if is_tracing() else sizes.tolist()
