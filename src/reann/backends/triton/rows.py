"""The neighbor list of a graph for kernels: rows of atoms in the order of their elements."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from reann.graph import Graph
from reann.model.neighborhood import Neighborhood


@dataclass(frozen=True, eq=False)
class Rows:
    """Atoms, sorted by elements, and their neighbors.

    Attributes
    ----------
    element
        Index of the element of each row in the model's list, ascending.
    counts
        Rows of each element.
    order, rank
        Atom of the graph of each row, and row of each atom.
    head
        Index of the head of each row; None: the first one.
    inputs
        Numbers of charge and spin of each row; None: the model has no such inputs.
    field
        Electric field of each row, V/Å; None: no field.
    """

    graph: Graph
    element: Int[Tensor, " atoms"]
    counts: list[int]
    order: Int[Tensor, " atoms"]
    rank: Int[Tensor, " atoms"]
    head: Int[Tensor, " atoms"] | None = None
    inputs: Float[Tensor, "atoms numbers"] | None = None
    field: Float[Tensor, "atoms 3"] | None = None

    @classmethod
    def of(
        cls,
        graph: Graph,
        element: Int[Tensor, " atoms"],
        counts: list[int],
        *,
        head: Int[Tensor, " atoms"] | None = None,
        inputs: Float[Tensor, "atoms numbers"] | None = None,
        field: Float[Tensor, "atoms 3"] | None = None,
    ) -> Rows:
        """Return the rows of a graph; `element` is in the order of the graph."""
        order = torch.argsort(element, stable=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device)
        return cls(
            graph,
            element[order],
            counts,
            order,
            rank,
            None if head is None else head[order],
            None if inputs is None else inputs[order],
            None if field is None else field.index_select(0, order),
        )

    @property
    def as_atoms(self) -> Neighborhood:
        """The atoms as a neighborhood without neighbors, for functions that need only elements."""
        n = self.n_atoms
        return Neighborhood(
            self.element,
            self.counts,
            self.rank,
            self.rank.new_empty(n, 0),
            self.graph.positions.new_empty(n, 0, 3),
            self.head,
            field=self.field,
            inputs=self.inputs,
        )

    @property
    def n_atoms(self) -> int:
        """Number of rows."""
        return self.order.shape[0]

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """Arguments of all kernels over neighbors, except the positions."""
        graph = self.graph
        return (
            graph.first,
            graph.neighbor,
            graph.edge_shift,
            graph.cell,
            graph.system,
            self.order,
            self.rank,
            self.element,
        )
