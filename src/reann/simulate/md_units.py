"""Units of molecular dynamics: densities and speeds."""

from __future__ import annotations

import ase
from ase import units

GRAMS_PER_CM3 = 1000.0 * units.kg / units.m**3
"""In ASE's units of mass and length."""


def density(atoms: ase.Atoms, volume: float) -> float:
    """Return the density in g/cm³ of the atoms in a volume in Å³."""
    return float(atoms.get_masses().sum()) / volume / GRAMS_PER_CM3


def ns_per_day(steps_per_second: float, timestep: float) -> float:
    """Return the simulated nanoseconds per day of computing; `timestep` in fs."""
    return steps_per_second * 86400.0 * timestep * 1e-6


def microseconds_per_atom(steps_per_second: float, n_atoms: int) -> float:
    """Return the time of a step divided by the number of atoms, in µs."""
    return 1e6 / steps_per_second / n_atoms
