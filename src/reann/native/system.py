"""The arrays of a graph, in the order of the arguments of the native engine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reann.graph import Graph


class Arguments(NamedTuple):
    """A structure or a batch of structures."""

    element: NDArray[np.int32]
    """Index into the elements of the model, (atoms,)."""
    positions: NDArray[np.float64]
    """Å, (atoms, 3)."""
    first: NDArray[np.int64]
    """The neighbors of atom i are first[i] .. first[i + 1], (atoms + 1,)."""
    neighbor: NDArray[np.int32]
    """(edges,); edges may be longer than the cutoff."""
    shift: NDArray[np.float64] | None
    """Å, added to positions[neighbor] - positions[center], (edges, 3); None: zero."""
    structure: NDArray[np.int32] | None = None
    """Structure of each atom, (atoms,); None: there is one."""
    n_structures: int = 1

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all structures."""
        return len(self.element)


def arguments(graph: Graph, element_index: Tensor, *, kept: bool = False) -> Arguments:
    """Return the arrays of a graph.

    Parameters
    ----------
    element_index
        Index of the element for each atomic number.
    kept
        Copy arrays instead of using views of the graph, for later use: PyTorch frees the memory of
        tensors that are sent to another process, and positions may change.
    """
    first, structure = graph.first.numpy(), graph.system.numpy()
    several = graph.n_systems > 1
    ends = first[np.searchsorted(structure, np.arange(graph.n_systems + 1))]
    views = (graph.positions.detach().numpy(), first, graph.neighbor.numpy())
    positions, first, neighbor = (x.copy() if kept else x for x in views)
    return Arguments(
        element_index[graph.atomic_numbers].numpy().astype(np.int32),
        np.ascontiguousarray(positions, dtype=np.float64),
        first,
        neighbor,
        _cartesian(graph.edge_shift.numpy(), graph.cell.detach().numpy(), ends),
        structure.astype(np.int32) if several else None,
        graph.n_systems,
    )


def _cartesian(crossed: NDArray, cells: NDArray, first_edge: NDArray) -> NDArray | None:
    """Return the shifts of all edges in Å; the edges of a structure are consecutive."""
    if not crossed.any():
        return None
    shift = np.empty(crossed.shape)
    for cell, begin, end in zip(cells, first_edge[:-1], first_edge[1:], strict=True):
        np.matmul(crossed[begin:end], cell, out=shift[begin:end])
    return shift
