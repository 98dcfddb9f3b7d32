"""The neighbor list of a graph as the kernels read it: rows of atoms in the order of elements."""

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
        """Lay out a graph whose atoms have elements of these indices, in its own order."""
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
        """The atoms for what asks their elements: without neighbors, which kernels have."""
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
        """What all kernels over neighbors get, but the positions."""
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
