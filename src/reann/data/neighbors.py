"""Neighbor lists, right for every cell, and the graph of one structure.

The native engine makes them; without it vesin does, in several times the time. vesin is always
given a full-rank cell whose vectors along non-periodic directions are perpendicular to the lattice
and longer than the structure, and atoms inside that cell. What a file says along a
non-periodic direction (a dummy vector, zeros) is never used.
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
from reann.data.labels import read_inputs
from reann.errors import UserError, listed
from reann.facts import FLATTEST_CELL, SHORTEST_DISTANCE
from reann.graph import Graph

SMALL_MOLECULE = 64
"""Atoms; up to here all pairs of a molecule are compared."""

Edges = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The neighbors of all atoms, those of one atom after those of the one before."""

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
        """Return some of the edges, (edges,) booleans."""
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
    """Return the same list in the form that the native engine takes; errors as there."""
    positions = np.ascontiguousarray(positions, dtype=np.float64).reshape(-1, 3)
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    pbc = np.asarray(pbc, dtype=bool)
    if native.available():
        try:
            return Neighbors(
                *native.core().neighbors(positions, cell, pbc.astype(np.int32), cutoff)
            )
        except ValueError:  # of cells that have an explanation below, and of atoms at 10^12 Å
            if not np.isfinite(positions).all():
                raise
    center, neighbor, crossed = library_list(positions, cell, pbc, cutoff)
    first = np.searchsorted(center, np.arange(len(positions) + 1)).astype(np.int64)
    lattice = np.where(pbc[:, None], cell, 0.0)
    shift = np.matmul(crossed, lattice, dtype=np.float64)
    return Neighbors(first, neighbor.astype(np.int32), shift, crossed)


def library_list(positions: NDArray, cell: NDArray, pbc: NDArray, cutoff: float) -> Edges:
    """Return the same list as `neighbor_list`, made without the native engine."""
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
    """Return the neighbors of a structure that was checked for impossible geometry.

    Raises
    ------
    UserError
        For positions or a cell that are not finite, a periodic direction without a lattice
        vector, and atoms closer than `SHORTEST_DISTANCE`.
    """
    positions, cell, pbc = atoms.positions, atoms.cell.array, atoms.pbc
    if not np.isfinite(positions).all():
        wrong = np.flatnonzero(~np.isfinite(positions).all(axis=1))
        raise UserError(
            f"The position of atom {listed(wrong)} is not a finite number.",
            where,
            "Remove or repair this structure.",
        )
    if not np.isfinite(cell).all():
        raise UserError("The cell is not made of finite numbers.", where, "Repair the cell.")
    try:
        found = neighbors_within(positions, cell, pbc, cutoff)
    except UserError as error:
        raise UserError(error.what, where, error.fix) from None
    center, neighbor = found.center, found.neighbor
    vectors = positions[neighbor] - positions[center] + found.shift
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
    return found


def graph_from_atoms(
    atoms: ase.Atoms, cutoff: float, where: str = "", inputs: Sequence[str] = ()
) -> Graph:
    """Return the graph of one structure, float64, without labels.

    Parameters
    ----------
    inputs
        Names of what `atoms.info` may state: `charge` in e, `field` in V/Å.

    Raises
    ------
    UserError
        As `checked_neighbors`, and for inputs of the wrong shape or type.
    """
    return graph_of(atoms, checked_neighbors(atoms, cutoff, where), inputs)


def stated_inputs(atoms: ase.Atoms, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return what `atoms.info` states under some names of inputs; errors as `read_inputs`."""
    stated = {name: name for name in names if name in atoms.info}
    return read_inputs(atoms, stated, str(atoms.symbols)) if stated else {}


def graph_of(atoms: ase.Atoms, neighbors: Neighbors, inputs: Sequence[str] = ()) -> Graph:
    """Return the graph of one structure with these neighbors, float64, without labels."""
    values = stated_inputs(atoms, inputs)
    given = {name: torch.from_numpy(value[None]) for name, value in values.items()}
    return Graph(
        positions=torch.tensor(atoms.positions, dtype=torch.float64),
        atomic_numbers=torch.tensor(atoms.numbers, dtype=torch.int64),
        system=torch.zeros(len(atoms), dtype=torch.int64),
        cell=torch.tensor(atoms.cell.array, dtype=torch.float64)[None],
        pbc=torch.tensor(np.asarray(atoms.pbc, dtype=bool))[None],
        first=torch.from_numpy(neighbors.first),
        neighbor=torch.from_numpy(neighbors.neighbor),
        edge_shift=torch.from_numpy(neighbors.crossed),
        charge=given.get("charge"),
        spin=given.get("spin"),
        field=given.get("field"),
    )


def _all_pairs(positions: NDArray, cutoff: float) -> Edges:
    """Compare all pairs of a molecule, which is faster than setting up a search."""
    vectors = positions[None] - positions[:, None]
    near = np.einsum("ijx,ijx->ij", vectors, vectors) < cutoff * cutoff
    np.fill_diagonal(near, val=False)
    center, neighbor = np.nonzero(near)
    return center, neighbor, np.zeros((len(center), 3), dtype=np.int32)


def _full_cell(
    positions: NDArray, cell: NDArray, pbc: NDArray, cutoff: float
) -> tuple[NDArray, NDArray]:
    """Return a cell of full rank and the positions, packed along non-periodic directions.

    Empty space wider than the cutoff is shortened, so that an atom that flew away costs nothing.
    """
    periodic = cell[pbc]
    lengths = np.linalg.norm(periodic, axis=1)
    axes = np.flatnonzero(pbc)
    if (lengths < SHORTEST_DISTANCE).any():
        zero = axes[lengths < SHORTEST_DISTANCE]
        raise UserError(
            f"The structure is periodic along {listed('abc'[axis] for axis in zero)},"
            " but that lattice vector is zero.",
            fix="Give the cell (Lattice=... in extended XYZ) or set pbc to F along that direction.",
        )
    # Rows that span the lattice first, then an orthonormal complement.
    _, volumes, directions = np.linalg.svd(periodic / lengths[:, None], full_matrices=True)
    if np.prod(volumes) < FLATTEST_CELL:
        raise UserError(
            "The periodic lattice vectors are linearly dependent: the cell is flat.",
            fix="Give linearly independent lattice vectors, or set pbc to F along one of them.",
        )
    box, packed = cell.copy(), positions.copy()
    for axis, direction in zip(np.flatnonzero(~pbc), directions[len(axes) :], strict=True):
        along = positions @ direction
        order = np.argsort(along)
        gaps = np.diff(along[order], prepend=along[order[0]])
        place = np.empty_like(along)
        place[order] = 0.5 + np.cumsum(np.minimum(gaps, 1.1 * cutoff))
        packed += np.outer(place - along, direction)
        # With this empty space an image along this direction is never a neighbor.
        box[axis] = direction * (place.max() + 1.1 * cutoff)
    return box, packed
