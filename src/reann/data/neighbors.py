"""Neighbor lists for arbitrary cells, and the graph of a structure.

They are computed by the native engine or, several times slower, by vesin. vesin always gets a
full-rank cell whose vectors along non-periodic directions are perpendicular to the lattice and
longer than the structure, with the atoms inside that cell. The vectors of a file along non-periodic
directions (dummy vectors, zeros) are never used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ase
import numpy as np
import torch
from numpy.typing import NDArray
from vesin import NeighborList

from reann import native
from reann.data.labels.inputs import InputKeys
from reann.errors import UserError, listed
from reann.facts import FLATTEST_CELL, SHORTEST_DISTANCE
from reann.graph import Graph

SMALL_MOLECULE = 64
"""Number of atoms up to which all pairs of a molecule are compared."""

Edges = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The neighbors of all atoms, ordered by the center."""

    first: NDArray[np.int64]
    """The neighbors of atom i are first[i] .. first[i + 1], (atoms + 1,)."""
    neighbor: NDArray[np.int32]
    """(edges,)"""
    shift: NDArray[np.float64]
    """Å, (edges, 3): ``positions[neighbor] - positions[center] + shift`` is the edge vector."""
    crossed: NDArray[np.int32]
    """The shift in cells, (edges, 3)."""

    @property
    def center(self) -> NDArray[np.int64]:
        """Index of the center of each edge."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))

    def kept(self, edges: NDArray[np.bool_]) -> Neighbors:
        """Return the edges selected by a mask (edges,)."""
        counts = np.bincount(self.center[edges], minlength=len(self.first) - 1)
        first = np.concatenate([[0], np.cumsum(counts)])
        return Neighbors(first, self.neighbor[edges], self.shift[edges], self.crossed[edges])

    @property
    def edges(self) -> Edges:
        """Center, neighbor and cells crossed, as `neighbor_list` returns them."""
        return self.center, self.neighbor.astype(np.int64), self.crossed


def neighbor_list(positions: NDArray, cell: NDArray, pbc: NDArray, cutoff: float) -> Edges:
    """Return all pairs closer than the cutoff, both directions, sorted by center.

    Parameters
    ----------
    positions
        (atoms, 3), Å; atoms may lie outside the cell.
    cell
        (3, 3), Å, rows are lattice vectors of any handedness; ignored along non-periodic axes.
    pbc
        (3,) booleans.
    cutoff
        Å; may be longer than the cell.

    Returns
    -------
    center, neighbor
        (edges,) indices of atoms. An atom is its own neighbor only through a non-zero shift.
    shift
        (edges, 3) cells crossed: ``positions[neighbor] - positions[center] + shift @ cell`` is the
        edge vector, shorter than the cutoff.

    Raises
    ------
    UserError
        If a periodic lattice vector is zero or the periodic vectors are linearly dependent.
    """
    return neighbors_within(positions, cell, pbc, cutoff).edges


def neighbors_within(positions: NDArray, cell: NDArray, pbc: NDArray, cutoff: float) -> Neighbors:
    """Return the neighbor list in the form used by the native engine; see `neighbor_list`."""
    positions = np.ascontiguousarray(positions, dtype=np.float64).reshape(-1, 3)
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    pbc = np.asarray(pbc, dtype=bool)
    if native.available():
        try:
            return Neighbors(
                *native.core().neighbors(positions, cell, pbc.astype(np.int32), cutoff)
            )
        except ValueError:  # for cells, explained below, and for positions of 10^12 Å
            if not np.isfinite(positions).all():
                raise
    center, neighbor, crossed = library_list(positions, cell, pbc, cutoff)
    first = np.searchsorted(center, np.arange(len(positions) + 1)).astype(np.int64)
    lattice = np.where(pbc[:, None], cell, 0.0)
    shift = np.matmul(crossed, lattice, dtype=np.float64)
    return Neighbors(first, neighbor.astype(np.int32), shift, crossed)


def library_list(positions: NDArray, cell: NDArray, pbc: NDArray, cutoff: float) -> Edges:
    """Return the neighbor list computed without the native engine."""
    if not pbc.any() and len(positions) <= SMALL_MOLECULE:
        return _all_pairs(positions, cutoff)
    box, packed = _full_cell(positions, cell, pbc, cutoff)
    crossed = np.where(pbc, np.floor(packed @ np.linalg.inv(box)), 0.0)
    inside = packed - crossed @ box
    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True, n_threads=1)
    center, neighbor, shift = search.compute(inside, box, True, "ijS")
    center, neighbor = center.astype(np.int64), neighbor.astype(np.int64)
    cells = crossed.astype(np.int64)
    shift = shift.astype(np.int64) + cells[center] - cells[neighbor]
    lattice = np.where(pbc[:, None], cell, 0.0)
    vectors = positions[neighbor] - positions[center] + shift @ lattice
    near = np.einsum("ex,ex->e", vectors, vectors) < cutoff * cutoff
    if near.all():
        return center, neighbor, shift.astype(np.int32)
    return center[near], neighbor[near], shift[near].astype(np.int32)


def checked_neighbors(atoms: ase.Atoms, cutoff: float, where: str = "") -> Neighbors:
    """Return the neighbors of a structure after checking its geometry.

    Raises
    ------
    UserError
        If positions or cell are not finite, a periodic direction has no lattice vector, or atoms
        are closer than `SHORTEST_DISTANCE`.
    """
    positions, cell, pbc = atoms.positions, atoms.cell.array, atoms.pbc
    if not np.isfinite(positions).all():
        wrong = np.flatnonzero(~np.isfinite(positions).all(axis=1))
        raise UserError(
            f"The position of atom {listed(wrong)} is not finite.",
            where,
            "Remove or correct this structure.",
        )
    if not np.isfinite(cell).all():
        raise UserError("The cell is not finite.", where, "Correct the cell.")
    try:
        neighbors = neighbors_within(positions, cell, pbc, cutoff)
    except UserError as error:
        raise UserError(error.what, where, error.fix) from None
    center, neighbor = neighbors.center, neighbors.neighbor
    vectors = positions[neighbor] - positions[center] + neighbors.shift
    squared = np.einsum("ex,ex->e", vectors, vectors)
    if len(squared) and squared.min() < SHORTEST_DISTANCE**2:
        closest = int(squared.argmin())
        first, second = sorted((int(center[closest]), int(neighbor[closest])))
        raise UserError(
            f"Atoms {first} and {second} coincide: their distance is"
            f" {np.sqrt(squared[closest]):.1e} Å.",
            where,
            "Remove one of them, or correct the lattice vectors or the units of length.",
        )
    return neighbors


def graph_from_atoms(
    atoms: ase.Atoms, cutoff: float, where: str = "", inputs: InputKeys | Sequence[str] = ()
) -> Graph:
    """Return the graph of a structure, float64, without labels.

    Parameters
    ----------
    inputs
        Inputs of the model to read from `atoms.info`: names such as `charge`, or also their keys.

    Raises
    ------
    UserError
        As in `checked_neighbors`, and for inputs as in `InputKeys.read`.
    """
    return graph_of(atoms, checked_neighbors(atoms, cutoff, where), inputs, where)


def graph_of(
    atoms: ase.Atoms,
    neighbors: Neighbors,
    inputs: InputKeys | Sequence[str] = (),
    where: str = "",
) -> Graph:
    """Return the graph of one structure with these neighbors, float64, without labels."""
    keys = inputs if isinstance(inputs, InputKeys) else InputKeys(tuple(inputs))
    values = keys.read(atoms, where)
    tensors = {name: torch.from_numpy(value[None]) for name, value in values.items()}
    return Graph(
        positions=torch.tensor(atoms.positions, dtype=torch.float64),
        atomic_numbers=torch.tensor(atoms.numbers, dtype=torch.int64),
        system=torch.zeros(len(atoms), dtype=torch.int64),
        cell=torch.tensor(atoms.cell.array, dtype=torch.float64)[None],
        pbc=torch.tensor(np.asarray(atoms.pbc, dtype=bool))[None],
        first=torch.from_numpy(neighbors.first),
        neighbor=torch.from_numpy(neighbors.neighbor),
        edge_shift=torch.from_numpy(neighbors.crossed),
        charge=tensors.get("charge"),
        spin=tensors.get("spin"),
        field=tensors.get("field"),
    )


def _all_pairs(positions: NDArray, cutoff: float) -> Edges:
    """Compare all pairs of a molecule, which is faster than setting up a search."""
    vectors = positions[None] - positions[:, None]
    near = np.einsum("ijx,ijx->ij", vectors, vectors) < cutoff * cutoff
    np.fill_diagonal(near, val=False)
    center, neighbor = np.nonzero(near)
    return center, neighbor, np.zeros((len(center), 3), dtype=np.int32)


def free_directions(cell: NDArray, pbc: NDArray) -> NDArray[np.float64]:
    """Return unit vectors, as rows, perpendicular to the lattice and to each other.

    There is one for each direction that is not periodic.

    Raises
    ------
    UserError
        If a periodic lattice vector is zero or the periodic vectors are linearly dependent.
    """
    periodic = cell[pbc]
    lengths = np.linalg.norm(periodic, axis=1)
    axes = np.flatnonzero(pbc)
    if (lengths < SHORTEST_DISTANCE).any():
        zero = axes[lengths < SHORTEST_DISTANCE]
        raise UserError(
            f"The structure is periodic along {listed('abc'[axis] for axis in zero)},"
            " but that lattice vector is zero.",
            fix="Write the cell (Lattice=... in extended XYZ), or set pbc to F in that direction.",
        )
    # The first rows span the lattice, the others are an orthonormal complement.
    _, volumes, directions = np.linalg.svd(periodic / lengths[:, None], full_matrices=True)
    if np.prod(volumes) < FLATTEST_CELL:
        raise UserError(
            "The periodic lattice vectors are linearly dependent: the cell is flat.",
            fix="Write linearly independent lattice vectors, or set pbc to F along one of them.",
        )
    return directions[len(axes) :]


def _full_cell(
    positions: NDArray, cell: NDArray, pbc: NDArray, cutoff: float
) -> tuple[NDArray, NDArray]:
    """Return a full-rank cell and the positions, packed along non-periodic directions.

    Gaps wider than the cutoff are shortened, so that distant atoms cost nothing.
    """
    box, packed = cell.copy(), positions.copy()
    for axis, direction in zip(np.flatnonzero(~pbc), free_directions(cell, pbc), strict=True):
        along = positions @ direction
        order = np.argsort(along)
        gaps = np.diff(along[order], prepend=along[order[0]])
        packed_along = np.empty_like(along)
        packed_along[order] = 0.5 + np.cumsum(np.minimum(gaps, 1.1 * cutoff))
        packed += np.outer(packed_along - along, direction)
        # With this empty space an image along this direction is never a neighbor.
        box[axis] = direction * (packed_along.max() + 1.1 * cutoff)
    return box, packed
