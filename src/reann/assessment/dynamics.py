"""Dynamics of checks: thermalization, constant energy, constant temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ase
import numpy as np
from ase import units
from ase.calculators.calculator import Calculator
from ase.md.bussi import Bussi
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from reann.errors import UserError
from reann.motion.dynamics import degrees_of_freedom, draw_velocities, make_dynamics, temperature_of
from reann.motion.settings import Dynamics
from reann.simulate.md_result import drift as fitted_drift

FRICTION = 0.01
"""Friction of the thermalization, 1/fs."""
RELAXATION = 500.0
"""Relaxation time of the thermostat in production runs, fs."""
HOTTEST = 10.0
"""Temperature over the target temperature that counts as an explosion."""

OnStep = Callable[[int], bool]
"""Called with the number of each step; dynamics ends when it returns True."""


class ExplosionError(Exception):
    """Energies or velocities diverged."""


@dataclass(frozen=True)
class Course:
    """Total energy (eV) and temperature (K) of each step, including the start."""

    energy: NDArray[np.float64]
    temperature: NDArray[np.float64]
    timestep: float
    """fs."""

    @property
    def time(self) -> NDArray[np.float64]:
        """Time of each step, ps."""
        return 1e-3 * self.timestep * np.arange(len(self.energy), dtype=np.float64)


def never(_: int) -> bool:
    """Return False: dynamics continues."""
    return False


def thermalized(
    start: ase.Atoms,
    temperature: float,
    time: float,
    timestep: float,
    rng: np.random.Generator,
    *,
    on_step: OnStep = never,
    moves: Callable[[ase.Atoms], None] = lambda _: None,
) -> ase.Atoms:
    """Return a structure after Langevin dynamics of `time` in fs, its center of mass at rest.

    Parameters
    ----------
    moves
        Called with the atoms before they move.

    Raises
    ------
    ExplosionError
        If the dynamics explodes.
    """
    atoms = start.copy()
    atoms.calc = start.calc
    moves(atoms)
    draw_velocities(atoms, temperature, rng)
    settings = Dynamics("langevin", temperature, time, timestep, 0.0, FRICTION, None, 0, 1.0, None)
    dynamics = make_dynamics(atoms, settings, rng)
    freedom = degrees_of_freedom(atoms, "langevin")
    for step in _steps(dynamics, atoms, round(time / timestep), freedom, temperature):
        if on_step(step):
            break
    if not atoms.constraints:
        velocities, masses = atoms.get_velocities(), atoms.get_masses()
        atoms.set_velocities(velocities - masses @ velocities / masses.sum())
    return atoms


def constant_energy(
    start: ase.Atoms, timestep: float, n_steps: int, on_step: OnStep = never
) -> tuple[Course, ase.Atoms]:
    """Run velocity Verlet from the given velocities; return the course and the final structure.

    Raises
    ------
    ExplosionError
        If the dynamics explodes.
    """
    atoms = start.copy()
    atoms.calc = start.calc
    freedom = degrees_of_freedom(atoms, "nve")
    limit = temperature_of(atoms, freedom)
    energy, temperature = [], []
    dynamics = VelocityVerlet(atoms, timestep * units.fs)
    for step in _steps(dynamics, atoms, n_steps, freedom, limit):
        kinetic = atoms.get_kinetic_energy()
        energy.append(atoms.get_potential_energy() + kinetic)
        temperature.append(2.0 * kinetic / (freedom * units.kB))
        if on_step(step):
            break
    return Course(np.array(energy), np.array(temperature), timestep), atoms


def constant_temperature(
    atoms: ase.Atoms, temperature: float, timestep: float, n_steps: int, rng: np.random.Generator
) -> Iterator[int]:
    """Yield the steps of dynamics with a thermostat that rescales all velocities by one factor.

    It disturbs diffusion far less than the friction of Langevin dynamics: G. Bussi, D. Donadio,
    M. Parrinello, J. Chem. Phys. 126, 014101 (2007). The atoms move; the center of mass is at rest.

    Raises
    ------
    ExplosionError
        If the dynamics explodes.
    """
    freedom = degrees_of_freedom(atoms, "nve")
    thermostat = Bussi(
        atoms,
        timestep * units.fs,
        # ASE counts the degrees of freedom of the center of mass, which hold no energy here.
        temperature_K=temperature * freedom / (3 * len(atoms)),
        taut=RELAXATION * units.fs,
        rng=rng,
    )
    yield from _steps(thermostat, atoms, n_steps, freedom, temperature)


def _steps(
    dynamics: MolecularDynamics, atoms: ase.Atoms, n_steps: int, freedom: int, temperature: float
) -> Iterator[int]:
    limit = HOTTEST * max(temperature, 300.0)
    run = dynamics.irun(n_steps)
    while True:
        try:
            next(run)
        except StopIteration:
            return
        except UserError as error:  # raised for geometries that only an explosion produces
            raise ExplosionError(error.what.removesuffix(".")) from error
        hot = temperature_of(atoms, freedom)
        if not (np.isfinite(atoms.get_potential_energy()) and hot <= limit):
            raise ExplosionError(f"the temperature is {hot:.0f} K at step {dynamics.nsteps}")
        yield dynamics.nsteps


def drift(course: Course, n_atoms: int) -> tuple[float, float]:
    """Return the slope of a linear fit of the total energy and its error, meV/atom/ps.

    The error is the standard error of the slope of a line through the means of five blocks,
    so that the fluctuations of velocity Verlet are not taken for a drift.
    """
    slope = fitted_drift(course.energy, course.timestep, n_atoms)
    parts = np.array_split(np.arange(len(course.energy)), N_BLOCKS)
    if min(map(len, parts)) < 2:
        return slope, np.inf
    means = np.array([course.energy[part].mean() for part in parts]) / n_atoms
    times = np.array([course.time[part].mean() for part in parts])
    residuals = means - np.polyval(np.polyfit(times, means, 1), times)
    scatter = np.sqrt((residuals**2).sum() / (N_BLOCKS - 2))
    error = scatter / np.sqrt(((times - times.mean()) ** 2).sum())
    return slope, float(1e3 * error)


N_BLOCKS = 5


def with_calculator(atoms: ase.Atoms, calculator: Calculator) -> ase.Atoms:
    """Return a copy of a structure with another calculator and the same velocities."""
    copy = atoms.copy()
    copy.calc = calculator
    return copy
