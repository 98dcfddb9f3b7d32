"""Bonds by distance, and molecules that are not cut by the boundaries of the cell."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.geometry import find_mic
from numpy.typing import NDArray

from reann.data.neighbors import neighbor_list

BOND = 1.2
"""Atoms closer than this times the sum of their covalent radii are drawn with a bond."""
NO_METALS = tuple(
    chemical_symbols.index(symbol)
    for symbol in (
        *("H", "He", "B", "C", "N", "O", "F", "Ne", "Si", "P", "S", "Cl"),
        *("Ar", "Ge", "As", "Se", "Br", "Kr", "Te", "I", "Xe", "At", "Rn"),
    )
)
"""Elements with bonds; bonds between two metals are not drawn, as they would hide the crystal."""


@dataclass(frozen=True)
class Bonds:
    """Both directions of each bond."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    vectors: NDArray[np.float64]
    """From the first atom to the image of the second, Å."""


def bonds_of(atoms: ase.Atoms) -> Bonds:
    """Return the pairs that are closer than `BOND` times the sum of their covalent radii."""
    radii = covalent_radii[atoms.numbers]
    i, j, shift = neighbor_list(
        atoms.positions, atoms.cell.array, atoms.pbc, 2 * BOND * float(radii.max())
    )
    lattice = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    vectors = atoms.positions[j] - atoms.positions[i] + shift @ lattice
    bonded = np.linalg.norm(vectors, axis=1) < BOND * (radii[i] + radii[j])
    metal = ~np.isin(atoms.numbers, NO_METALS)
    bonded &= ~(metal[i] & metal[j])
    return Bonds(i[bonded], j[bonded], vectors[bonded].astype(np.float64))


def unbroken(atoms: ase.Atoms, around: int | None = None) -> tuple[ase.Atoms, Bonds]:
    """Return a copy with molecules in one piece, and its bonds.

    Each atom is moved by vectors of the lattice, which changes neither bonds nor forces. Bonded
    atoms that form no molecule, as in a crystal, remain in place.

    Parameters
    ----------
    around
        Atom to which the nearest images of all other molecules are shown; None: the center of a
        molecule is in the cell.
    """
    result, bonds = atoms.copy(), bonds_of(atoms)
    if not atoms.pbc.any():
        return result, bonds
    positions = atoms.positions.copy()
    order = np.argsort(bonds.first, kind="stable")
    rows = np.split(order, np.searchsorted(bonds.first[order], np.arange(1, len(atoms))))
    for members in _molecules(len(atoms), bonds):
        placed = _placed(members, positions, bonds, rows)
        if placed is None:
            placed = positions[members]
            if around is not None:  # a crystal: each atom by itself
                placed = _near(placed, positions[around], atoms)
        elif around is not None and around in members:
            placed = placed + positions[around] - placed[members == around]
        elif around is not None:
            center = placed.mean(0)
            placed = placed + _near(center[None], positions[around], atoms) - center
        elif len(members) > 1:
            placed = placed + _into_cell(placed.mean(0), atoms)
        result.positions[members] = placed
    return result, bonds


def _molecules(n_atoms: int, bonds: Bonds) -> list[NDArray[np.int64]]:
    """Return the atoms of each group of atoms that bonds connect."""
    label = np.arange(n_atoms)
    while True:
        smallest = label.copy()
        np.minimum.at(smallest, bonds.first, label[bonds.second])
        if (smallest == label).all():
            break
        label = smallest
    return [np.flatnonzero(label == root) for root in np.unique(label)]


def _placed(
    members: NDArray[np.int64],
    positions: NDArray[np.float64],
    bonds: Bonds,
    rows: Sequence[NDArray[np.int64]],
) -> NDArray[np.float64] | None:
    """Return positions along the bonds; None if a group is connected with its own images.

    `rows` are the bonds of each atom.
    """
    first = int(members[0])
    placed, waiting = {first: positions[first]}, deque([first])
    while waiting:
        atom = waiting.popleft()
        for row in rows[atom].tolist():
            other, place = int(bonds.second[row]), placed[atom] + bonds.vectors[row]
            if other not in placed:
                placed[other] = place
                waiting.append(other)
            elif np.abs(placed[other] - place).max() > 1e-3:
                return None
    return np.array([placed[int(atom)] for atom in members])


def _near(
    points: NDArray[np.float64], center: NDArray[np.float64], atoms: ase.Atoms
) -> NDArray[np.float64]:
    """Return the images of points that are nearest to a center."""
    periodic: Any = atoms.pbc
    return center + find_mic(points - center, atoms.cell, periodic)[0]


def _into_cell(center: NDArray[np.float64], atoms: ase.Atoms) -> NDArray[np.float64]:
    """Return the vector of the lattice that moves a point into the cell."""
    cell = atoms.cell.complete()
    cells = np.where(atoms.pbc, np.floor(cell.scaled_positions(center[None])[0] + 1e-9), 0.0)
    return -cells @ cell.array
