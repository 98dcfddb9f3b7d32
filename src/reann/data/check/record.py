"""A few numbers kept for each structure, so that any number of structures fits into memory.

A `Record` holds no array of the size of the structure: values that are equal in many structures
(keys, composition, atoms with zero force) are stored once and shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reann.data.labels.inputs import State

TOO_CLOSE = 0.65
"""Fraction of the sum of the covalent radii; H-H 0.40 Å, C-H 0.70 Å."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a file, its place, and the shape of its value."""

    place: str
    """`info`, `arrays` or `results` (of the calculator)."""
    name: str
    shape: str


@dataclass(slots=True)
class Record:
    """Numbers kept for one structure. Energies in eV, lengths in Å."""

    origin: str
    """`file#index`."""
    file: str
    n_atoms: int
    composition: tuple[tuple[int, int], ...]
    """Pairs of atomic number and count."""
    order: int
    """Checksum of the atomic numbers in their order and of the periodicity."""
    pbc: tuple[bool, bool, bool]
    keys: tuple[Key, ...]
    labels: tuple[str, ...]
    """Labels of the structure: energy, forces, stress and so on."""
    left_out: tuple[str, ...]
    """Labels to which the file gives a weight of zero."""
    not_finite: tuple[str, ...]
    """Names of arrays that contain NaN or infinity."""
    cell_missing: bool
    """Periodic along a direction without a lattice vector."""
    projections: tuple[float, ...]
    """Fingerprint of the geometry: random projections of centered positions and cell, Å."""
    nearest_ratio: float
    """Distance to the nearest neighbor over the sum of covalent radii, median over the atoms."""
    closest: tuple[float, float, int, int]
    """Shortest distance in Å, the same over the sum of covalent radii, and the two atoms."""
    without_neighbors: tuple[int, ...]
    """First atoms without a neighbor within the cutoff; empty for a single atom."""
    n_without_neighbors: int
    energy: float | None = None
    dipole: tuple[float, ...] | None = None
    """e Å."""
    sum_of_born_charges: tuple[float, ...] | None = None
    """Nine components of the sum of the Born effective charges of all atoms, e."""
    free_energy_gap: float | None = None
    """free_energy - energy per atom, eV."""
    force_rms: float | None = None
    """Root mean square of |F| over the atoms, eV/Å."""
    force_max: float | None = None
    force_max_atom: int = -1
    net_force: float = 0.0
    """|sum of F|, eV/Å."""
    force_projections: tuple[float, ...] = ()
    """Random projections of the forces, eV/Å; empty if all are zero."""
    zero_forces: bytes = b""
    """One bit per atom: the force is exactly zero."""
    torque: float | None = None
    """Net torque over that of forces in random directions; non-periodic structures only."""
    filled_lattice: bool = False
    """Not periodic, although the atoms fill the given lattice."""
    cell_in_bohr: bool = False
    """Periodic, and the atoms would fill the lattice if its vectors were in Bohr."""
    coarse: bool = False
    """All positions have at most two decimals."""
    force_digit: float = np.nan
    """Size of the last decimal of the forces, eV/Å; 0 for more than three decimals."""
    axes_without_forces: str = ""
    """For example `z`: all forces along z are zero, and symmetry does not explain it."""
    zero_geometry: tuple[float, ...] | None = None
    """Projections of the scaled positions if all forces are exactly zero."""
    stress_max: float | None = None
    """Largest component, eV/Å^3."""
    pressure: float | None = None
    """Minus a third of the trace of the stress, eV/Å^3."""
    volume: float = 0.0
    """Å^3; zero unless periodic in three directions."""
    unused_stress: bool = False
    """There is a stress or virial, but no volume."""
    conditions: tuple[tuple[str, Any], ...] = ()
    """Charge, spin, field and similar settings that are not inputs of the model."""
    inputs: State = ()
    """Inputs of the model besides atoms and cell; structures with other inputs are different."""


def collides(record: Record) -> bool:
    """Return whether two atoms are closer than in any equilibrium molecule."""
    return record.closest[1] < TOO_CLOSE
