"""Exploration by molecular dynamics with the last potential, run on a worker."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np

from reann.device import cpu_threads
from reann.interfaces.ase import Calculator
from reann.learning.explore.bonds import Bonds
from reann.learning.explore.trajectory import Trajectory, is_possible
from reann.motion.dynamics import degrees_of_freedom, draw_velocities, make_dynamics
from reann.motion.settings import Dynamics
from reann.motion.start import read_start, time_step
from reann.simulate.monitor import ExplosionError, Monitor
from reann.simulate.trajectory_file import TrajectoryWriter

FRICTION = 0.01
"""1/fs."""
LAST, LAST_EVERY = 10, 2.0
"""Number of structures kept from the end of a trajectory that stops early, and fs between them:
a potential fails faster than structures are sampled otherwise."""


@dataclass(frozen=True)
class Conditions:
    """Conditions of a trajectory."""

    temperature: float
    """K."""
    pressure: float | None
    """bar; None: constant volume."""
    time: float
    """fs."""
    timestep: float | None
    """fs."""
    frames: int
    keep_bonds: bool
    max_extrapolating: float
    seed: int
    engine: str

    def settings(self, atoms: ase.Atoms) -> Dynamics:
        """Return the settings of the integrator."""
        return Dynamics(
            "langevin" if self.pressure is None else "npt",
            self.temperature,
            self.time,
            self.timestep or time_step(atoms),
            self.pressure or 0.0,
            FRICTION,
            None,
            self.seed,
            1.0,
            None,
        )


def run_dynamics(model: bytes, start: ase.Atoms, conditions: Conditions) -> Trajectory:
    """Return structures of a trajectory, which ends early when it becomes unphysical.

    Parameters
    ----------
    model
        Content of a `.reann` file, because workers may not share a file system.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="reann-md-") as folder, cpu_threads(1):
        file = Path(folder) / "model.reann"
        file.write_bytes(model)
        calculator = Calculator(file, engine=conditions.engine)
        frames, ended, reached = _run(calculator, read_start(start)[0], conditions)
    possible = [atoms for atoms in frames if is_possible(atoms)]
    return Trajectory(possible, ended, reached, time.perf_counter() - begun)


def _run(
    calculator: Calculator, atoms: ase.Atoms, conditions: Conditions
) -> tuple[list[ase.Atoms], str, float]:
    settings = conditions.settings(atoms)
    settings.check()
    rng = np.random.default_rng(conditions.seed)
    bonds = Bonds(atoms) if conditions.keep_bonds else None
    atoms.calc = calculator
    draw_velocities(atoms, conditions.temperature, rng)
    atoms.set_momenta(atoms.get_momenta())  # applies constraints to the velocities
    watch = Monitor(
        atoms,
        calculator,
        degrees_of_freedom(atoms, settings.ensemble),
        settings.timestep,
        conditions.temperature,
        pressures=settings.ensemble == "npt",
    )
    dynamics = make_dynamics(atoms, settings, rng)
    n_steps = max(1, round(settings.time / settings.timestep))
    interval = max(1, n_steps // conditions.frames)
    last_interval = max(1, round(LAST_EVERY / settings.timestep))
    frames: list[ase.Atoms] = []
    last: deque[ase.Atoms] = deque(maxlen=LAST)
    ended = ""
    try:
        for _ in watch.steps(dynamics, n_steps, TrajectoryWriter(None)):
            step = dynamics.nsteps
            if step and step % interval == 0:
                frames.append(_bare(atoms, watch.time(step)))
                last.clear()
                ended = _extrapolation(calculator, conditions.max_extrapolating)
            elif step % last_interval == 0:
                last.append(_bare(atoms, watch.time(step)))
            if bonds and not ended and step % last_interval == 0:
                ended = bonds.change(atoms)
            if ended:
                break
    except ExplosionError as error:
        ended = error.what
    if ended:
        frames += last
    return frames, ended, watch.time(dynamics.nsteps)


def _extrapolation(calculator: Calculator, most: float) -> str:
    """Return why a trajectory ends if more than a fraction `most` of its atoms extrapolates."""
    if most >= 1.0:  # no need to compute the fraction
        return ""
    fraction = float(np.nan_to_num(calculator.fraction_extrapolating()))
    return f"{fraction:.0%} of the atoms extrapolate" if fraction > most else ""


def _bare(atoms: ase.Atoms, time_fs: float) -> ase.Atoms:
    """Return a copy without velocities, which labels do not depend on."""
    copy = atoms.copy()
    if copy.has("momenta"):
        del copy.arrays["momenta"]
    copy.info["time_fs"] = time_fs
    return copy
