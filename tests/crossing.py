"""Structures in which a pair of atoms crosses a distance, and what is continuous there."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

DIRECTION = np.array([1.0, 0.02, -0.01])
STEPS = (-1e-6, -1e-12, 0.0, 1e-12, 1e-6)
"""Å, from a distance to both sides."""
PLACES = 0.1 + np.array([[0, 0, 0], [0.3, 0.9, 0.2], [0, 0, 0], [1.0, -0.4, 0.3]])


def pair(distance: float, length: float | None = None) -> ase.Atoms:
    """Return two molecules of which an atom of one is at a distance from one of the other."""
    atoms = ase.Atoms("OHCH", PLACES)
    atoms.positions[2:] += distance * DIRECTION / np.linalg.norm(DIRECTION)
    if length is not None:
        atoms.cell, atoms.pbc = [length] * 3, True
    return atoms


def half_of(length: float) -> float:
    """Return the distance at which the component of a pair along x is half the length of a cell."""
    return float(0.5 * length * np.linalg.norm(DIRECTION))


def assert_continuous(
    atoms_at: Callable[[float], ase.Atoms], distance: float, calculator: Calculator
) -> None:
    """Compare energies and forces of a calculator on both sides of a distance."""
    found = []
    for step in STEPS:
        atoms = atoms_at(distance + step)
        atoms.calc = calculator
        found.append((atoms.get_potential_energy(), atoms.get_forces()))
    along = atoms_at(1.0).positions - atoms_at(0.0).positions
    energies = np.array([energy for energy, _ in found])
    # Of the rounding of single precision, in which engines compute the network.
    assert_same_side(energies, np.array([force for _, force in found]), along, 1e-6)


def assert_same_side(
    energies: NDArray[np.float64],
    forces: NDArray[np.float64],
    along: NDArray[np.float64],
    tolerance: float,
) -> None:
    """Compare energies and forces (steps, atoms, 3) of `STEPS` along a direction (atoms, 3).

    The tolerance is a part of the largest force.
    """
    assert np.isfinite(energies).all()
    slope = -np.vdot(forces[0], along)
    expected = energies[0] + slope * (np.array(STEPS) - STEPS[0])
    scale = np.abs(forces).max()
    np.testing.assert_allclose(energies, expected, rtol=0, atol=tolerance * scale)
    same = forces[:1].repeat(len(STEPS), 0)
    np.testing.assert_allclose(forces, same, rtol=0, atol=tolerance * scale)
