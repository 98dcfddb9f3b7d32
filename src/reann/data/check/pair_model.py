"""A pair potential, linear in its coefficients, for a quick fit to forces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from reann.data.neighbors import neighbor_list

Array = NDArray[np.float64]

SHORTEST = 0.7
"""Å, center of the first function."""
N_FUNCTIONS, FEWER_FUNCTIONS = 14, 7
"""Functions per pair of elements; fewer if there are more than `MANY_PAIRS` pairs."""
MANY_PAIRS = 21
RIDGE = 1e-6
"""Regularization, as a fraction of the mean diagonal element."""
VOIGT_ROWS, VOIGT_COLUMNS = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]
"""Indices of xx yy zz yz xz xy."""


@dataclass(frozen=True)
class Design:
    """Energies, forces and strain derivatives of a structure per unit coefficient."""

    energies: Array
    """(coefficients,) eV"""
    forces: Array
    """(3 atoms, coefficients) eV/Å"""
    strain: Array
    """(6, coefficients) derivatives with respect to a strain, xx yy zz yz xz xy, eV"""


class PairModel:
    """A pair potential and the normal equations of its fit to forces."""

    def __init__(self, elements: Sequence[int], cutoff: float) -> None:
        self._cutoff = cutoff
        self.elements = np.array(sorted(elements))
        n = len(self.elements)
        self._n_pairs = n * (n + 1) // 2
        self._k = N_FUNCTIONS if self._n_pairs <= MANY_PAIRS else FEWER_FUNCTIONS
        self._centers = np.geomspace(SHORTEST, 0.95 * cutoff, self._k)
        self._widths = 0.7 * np.gradient(self._centers)
        size = self._n_pairs * self._k
        self.matrix, self._right = np.zeros((size, size)), np.zeros(size)
        self.n_structures = 0

    def add(self, atoms: Atoms, forces: Array) -> Design:
        """Add a structure with forces (atoms, 3), each with the same weight; return its design."""
        design = self.design(atoms)
        square = float(np.sum(forces**2))
        if square > 0.0:
            self.matrix += design.forces.T @ design.forces / square
            self._right += design.forces.T @ forces.ravel() / square
            self.n_structures += 1
        return design

    def solve(self) -> Array:
        """Return the coefficients."""
        ridge = RIDGE * np.trace(self.matrix) / len(self._right)
        return np.linalg.solve(self.matrix + ridge * np.eye(len(self._right)), self._right)

    def composition(self, atoms: Atoms) -> Array:
        """Return the number of atoms of each element."""
        return (atoms.numbers[:, None] == self.elements).sum(axis=0).astype(float)

    def design(self, atoms: Atoms) -> Design:
        """Return energies, forces and strain derivatives of the functions."""
        cell = np.asarray(atoms.cell)
        center, neighbor, shift = neighbor_list(
            atoms.positions, cell, np.asarray(atoms.pbc, bool), self._cutoff
        )
        center, neighbor = center.astype(np.int64), neighbor.astype(np.int64)
        vector = (
            atoms.positions[neighbor] - atoms.positions[center] + np.asarray(shift, float) @ cell
        )
        size, n_atoms = self._n_pairs * self._k, len(atoms)
        if not len(center):
            return Design(np.zeros(size), np.zeros((3 * n_atoms, size)), np.zeros((6, size)))
        distance = np.maximum(np.linalg.norm(vector, axis=1), 1e-3)
        value, slope = self._functions(distance)
        element_index = np.searchsorted(self.elements, atoms.numbers)
        low, high = (
            np.minimum(element_index[center], element_index[neighbor]),
            np.maximum(element_index[center], element_index[neighbor]),
        )
        pair = high * (high + 1) // 2 + low
        unit = vector / distance[:, None]
        dyads = vector[:, VOIGT_ROWS] * unit[:, VOIGT_COLUMNS] / 2
        energies, strain = np.zeros((self._n_pairs, self._k)), np.zeros((6, self._n_pairs, self._k))
        for p in np.unique(pair):
            chosen = pair == p
            energies[p] = value[chosen].sum(axis=0) / 2
            strain[:, p] = dyads[chosen].T @ slope[chosen]
        # F_i = sum over j of phi'(r) (r_j - r_i) / r
        along = slope[:, None, :] * unit[:, :, None]
        row = center * self._n_pairs + pair
        order = np.argsort(row, kind="stable")
        first = np.flatnonzero(np.diff(row[order], prepend=-1))
        forces = np.zeros((n_atoms * self._n_pairs, 3, self._k))
        forces[row[order][first]] = np.add.reduceat(along[order], first)
        forces = forces.reshape(n_atoms, self._n_pairs, 3, self._k).transpose(0, 2, 1, 3)
        return Design(energies.ravel(), forces.reshape(3 * n_atoms, size), strain.reshape(6, size))

    def _functions(self, distance: Array) -> tuple[Array, Array]:
        """Return Gaussians times a cutoff function and their derivatives, (pairs, functions)."""
        x = (distance[:, None] - self._centers) / self._widths
        gauss = np.exp(-0.5 * x**2)
        angle = np.pi * distance[:, None] / self._cutoff
        decay = 0.5 * (np.cos(angle) + 1.0)
        slope = -0.5 * np.pi / self._cutoff * np.sin(angle)
        return gauss * decay, gauss * (slope - decay * x / self._widths)
