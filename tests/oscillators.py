"""Molecules and oscillators whose spectra are known in closed form."""

import ase
import numpy as np
from ase import units

from reann.spectra.constants import CM_PER_FS


def diatomic(potential_slope, charge, polarizability):
    """Return what evaluates a diatomic molecule along its bond.

    Parameters
    ----------
    potential_slope
        dV/dr in eV/Å at a distance in Å.
    charge
        e; the dipole is charge times the bond vector.
    polarizability
        Components along and across the bond in Å^3, at a distance.
    """

    def evaluate(structures):
        values = {"forces": [], "dipole": [], "polarizability": []}
        for atoms in structures:
            bond = atoms.positions[1] - atoms.positions[0]
            r = np.linalg.norm(bond)
            pull = potential_slope(r) * bond / r
            along, across = polarizability(r)
            values["forces"].append([pull, -pull])
            values["dipole"].append(charge * bond)
            values["polarizability"].append(
                across * np.eye(3) + (along - across) * np.outer(bond, bond) / r**2
            )
        return {name: np.array(each) for name, each in values.items()}

    return evaluate


def molecule(symbols, r, direction=(1.0, 2.0, -0.5)):
    direction = np.array(direction) / np.linalg.norm(direction)
    return ase.Atoms(symbols, [[0.3, -0.2, 0.1], [0.3, -0.2, 0.1] + r * direction])


def reduced_mass(atoms):
    first, second = atoms.get_masses()
    return first * second / (first + second)


def oscillators(wavenumbers, n_times, timestep, temperature, rng):
    """Return normal coordinates in Å sqrt(u) of classical oscillators, (times, oscillators).

    Every oscillator has the energy kT exactly, and a phase at random.
    """
    omega = 2 * np.pi * CM_PER_FS * np.asarray(wavenumbers)
    amplitude = np.sqrt(2 * units.kB * temperature) / (omega / units.fs)
    phases = rng.uniform(0, 2 * np.pi, len(omega))
    return amplitude * np.cos(np.arange(n_times)[:, None] * timestep * omega + phases)
