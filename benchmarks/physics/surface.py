"""CO2 on Ni(100) without thermostat: is energy conserved, and do atoms leave the training range.

The lowest layer of nickel stays where it is, as it does in the data.
"""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
from ase.constraints import FixAtoms
from bench import Bench, extrapolating, rms, rounded

from reann.interfaces.ase import Calculator
from reann.motion.dynamics import degrees_of_freedom, draw_velocities, make_dynamics
from reann.motion.settings import Dynamics
from reann.potential import Ensemble, Potential
from reann.simulate.md_result import drift
from reann.simulate.monitor import ExplosionError, Monitor
from reann.simulate.trajectory_file import TrajectoryWriter

FRAMES = (0, 20, 40, 60)
"""Of the file that the training never saw."""
TEMPERATURE = 300.0
"""K, of the first velocities."""
STEP, TIME = 0.5, 5000.0
"""fs."""
LOOK = 100
"""Steps between looks for extrapolation, and between the energies that are kept."""
LAYER = 0.9
"""Å, half of the distance of layers."""


def check(bench: Bench) -> dict[str, Any]:
    """Return what happened on each trajectory."""
    potential = bench.potential("co2-ni100")
    frames = bench.frames("co2-ni100/val.xyz.gz")
    return {
        "time_ps": TIME * 1e-3,
        "timestep_fs": STEP,
        "trajectories": [
            {"frame": index, **trajectory(potential, frames[index], seed)}
            for seed, index in enumerate(FRAMES)
        ],
    }


def trajectory(potential: Potential | Ensemble, start: ase.Atoms, seed: int) -> dict[str, Any]:
    """Run NVE and return drift, fluctuation and extrapolation."""
    atoms = start.copy()
    nickel = atoms.numbers == 28
    atoms.set_constraint(FixAtoms(mask=nickel & (_height(atoms) < LAYER)))
    calculator = Calculator(potential)
    atoms.calc = calculator
    rng = np.random.default_rng(seed)
    draw_velocities(atoms, TEMPERATURE, rng)
    settings = Dynamics("nve", TEMPERATURE, TIME, STEP, 0.0, 0.0, None, seed, 1.0, None)
    dynamics = make_dynamics(atoms, settings, rng)
    watch = Monitor(atoms, calculator, degrees_of_freedom(atoms, "nve"), STEP, TEMPERATURE)
    outside: list[tuple[float, list[str]]] = []
    exploded = None
    try:
        for _ in watch.steps(dynamics, round(TIME / STEP), TrajectoryWriter(None)):
            if dynamics.nsteps % LOOK == 0:
                outside_atoms = extrapolating(potential, atoms)
                symbols = [str(symbol) for symbol in atoms.symbols[outside_atoms]]
                outside.append((dynamics.nsteps * STEP * 1e-3, symbols))
    except ExplosionError as error:
        exploded = str(error)
    energy, temperature = np.array(watch.total_energy), np.array(watch.temperature)
    slope = drift(energy, STEP, len(atoms))
    times = np.arange(len(energy)) * STEP * 1e-3
    around = 1e3 * (energy - energy[0]) / len(atoms) - slope * times
    left = [time for time, symbols in outside if symbols]
    return {
        "exploded": exploded,
        "ps": round(float(times[-1]), 4),
        "n_atoms": len(atoms),
        "n_fixed": len(atoms.constraints[0].index),
        "drift_meV_per_atom_per_ps": slope,
        "rms_meV_per_atom": rms(around - around.mean()),
        "temperature_K": rounded([temperature.mean(), temperature.min(), temperature.max()], 1),
        "looks": len(outside),
        "looks_with_extrapolation": len(left),
        "most_atoms_extrapolating": max(len(symbols) for _, symbols in outside),
        "elements_extrapolating": sorted({s for _, symbols in outside for s in symbols}),
        "first_extrapolation_ps": left[0] if left else None,
        "times_ps": rounded(times[::LOOK]),
        "energy_meV_per_atom": rounded(1e3 * (energy[::LOOK] - energy[0]) / len(atoms), 5),
    }


def _height(atoms: ase.Atoms) -> np.ndarray:
    """Return heights above the lowest layer, Å; the cell may cut it in two."""
    z = atoms.get_scaled_positions()[:, 2]
    return (z - np.where(z > 0.9, 1.0, 0.0)) * atoms.cell[2, 2]
