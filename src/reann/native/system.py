"""Atoms and neighbors as the arrays that the native engine reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reann.graph import Graph


@dataclass(frozen=True, eq=False)
class System:
    """One structure or a batch of them; `arguments` has the order of the C interface.

    The arrays are its own: PyTorch frees the memory of a tensor that is sent to another process,
    and positions may change before the gradient of a loss is asked for.
    """

    element: NDArray[np.int32]
    """Index into the elements of the model, (atoms,)."""
    positions: NDArray[np.float64]
    """Å, (atoms, 3)."""
    first: NDArray[np.int64]
    """The neighbors of atom i are first[i] .. first[i + 1], (atoms + 1,)."""
    neighbor: NDArray[np.int32]
    """(edges,); may lie beyond the cutoff."""
    shift: NDArray[np.float64] | None
    """Å, added to positions[neighbor] - positions[center], (edges, 3); None: zero."""
    structure: NDArray[np.int32] | None
    """Structure of each atom, (atoms,); None: there is one."""
    n_structures: int = 1

    @classmethod
    def of(cls, graph: Graph, element_index: Tensor) -> System:
        """Lay out a graph; `element_index` gives the row of an atomic number in the model."""
        center, neighbor = graph.edge_index.numpy()
        first = first_neighbors(center, graph.n_atoms)
        one = graph.n_systems == 1
        structure = graph.system.numpy()
        first_atom = np.searchsorted(structure, np.arange(graph.n_systems + 1))
        shift = _cartesian(graph.edge_shift.numpy(), graph.cell.numpy(), first[first_atom])
        return cls(
            element=element_index[graph.atomic_numbers].numpy().astype(np.int32),
            positions=np.array(graph.positions.detach().numpy(), dtype=np.float64, order="C"),
            first=first,
            neighbor=neighbor.astype(np.int32),
            shift=shift,
            structure=None if one else structure.astype(np.int32),
            n_structures=graph.n_systems,
        )

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all structures."""
        return len(self.element)

    def arguments(self) -> tuple[Any, ...]:
        """Return what the functions of the extension take."""
        return (
            self.element,
            self.positions,
            self.first,
            self.neighbor,
            self.shift,
            self.structure,
            self.n_structures,
        )


def first_neighbors(center: NDArray, n_atoms: int) -> NDArray[np.int64]:
    """Return where the neighbors of each atom begin, and the end; centers ascend."""
    return np.searchsorted(center, np.arange(n_atoms + 1)).astype(np.int64)


def _cartesian(crossed: NDArray, cells: NDArray, first_edge: NDArray) -> NDArray | None:
    """Return the shifts of all edges in Å; the edges of a structure are consecutive."""
    if not crossed.any():
        return None
    shift = np.empty(crossed.shape)
    for cell, begin, end in zip(cells, first_edge[:-1], first_edge[1:], strict=True):
        np.matmul(crossed[begin:end], cell, out=shift[begin:end])
    return shift
