"""Monitor of molecular dynamics: temperature and energy of each step, and reasons to stop."""

from __future__ import annotations

from collections.abc import Iterator

import ase
import numpy as np
import torch
from ase import units
from ase.md.md import MolecularDynamics

from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.motion.dynamics import temperature_of
from reann.simulate.trajectory_file import TrajectoryWriter

HOTTEST = 10.0
"""The dynamics has exploded if the temperature exceeds this factor times the highest of target
temperature, initial temperature and 300 K."""
LARGEST_CHANGE = 100.0
"""The dynamics has exploded if the volume increases or decreases by a larger factor."""
LONGEST_STEP = 0.3
"""The dynamics has exploded if an atom moves farther in one step, Å."""


class ExplosionError(UserError):
    """The dynamics has left the range in which forces and time step are meaningful."""


class Monitor:
    """Temperature, total energy and more of each step, with checks.

    Parameters
    ----------
    freedom
        Degrees of freedom that carry the kinetic energy.
    timestep
        fs.
    temperature
        Target temperature, K.
    first_step, first_time
        Last step and time (fs) of an earlier run that is continued.
    pressures
        Whether pressure and volume are recorded; the structure is periodic in three dimensions.
    max_spread
        eV/Å; the run stops if the standard deviation of the force on an atom is larger.
    dynamics
        Description of ensemble and time step, which the trajectory records.
    """

    def __init__(
        self,
        atoms: ase.Atoms,
        calculator: Calculator,
        freedom: int,
        timestep: float,
        temperature: float,
        *,
        first_step: int = 0,
        first_time: float = 0.0,
        pressures: bool = False,
        max_spread: float = float("inf"),
        dynamics: str = "",
    ) -> None:
        self.dynamics = dynamics
        self.atoms, self.calculator = atoms, calculator
        self.freedom, self.timestep = freedom, timestep
        self.first_step, self.first_time = first_step, first_time
        self.pressures, self.max_spread = pressures, max_spread
        self.limit = HOTTEST * max(temperature, 300.0, temperature_of(atoms, freedom))
        self.temperature: list[float] = []
        self.total_energy: list[float] = []
        self.pressure: list[float] = []
        self.volume: list[float] = []
        self.spread = float("nan")
        """Largest standard deviation of the force on an atom in the last step, eV/Å."""

    def record(self, step: int) -> None:
        """Record a step; raise `ExplosionError` if it is not meaningful."""
        potential_energy = self.atoms.get_potential_energy()
        kinetic = self.atoms.get_kinetic_energy()
        if self.pressures:
            volume = self.atoms.get_volume()
            virial = -volume * float(self.calculator.results["stress"][:3].sum())
            self.volume.append(volume)
            self.pressure.append((virial + 2.0 * kinetic) / (3.0 * volume) / units.bar)
        largest_speed = np.linalg.norm(self.atoms.get_velocities(), axis=1).max()
        self.record_energies(step, potential_energy, kinetic, float(largest_speed))
        self._check_spread(step)

    def record_energies(
        self, step: int, potential_energy: float, kinetic: float, largest_speed: float
    ) -> None:
        """Record energies in eV; raise `ExplosionError` if the step is not meaningful.

        `largest_speed` is that of the fastest atom in ASE's units.
        """
        temperature = 2.0 * kinetic / (self.freedom * units.kB)
        energy = potential_energy + kinetic
        self.temperature.append(temperature)
        self.total_energy.append(energy)
        if not np.isfinite(energy):
            raise self.explosion(step, "the energy is not finite")
        if not temperature <= self.limit:
            raise self.explosion(step, f"the temperature is {temperature:.0f} K")
        if self.pressures:
            change = self.volume[-1] / self.volume[0]
            if not 1.0 / LARGEST_CHANGE <= change <= LARGEST_CHANGE:
                raise self.explosion(step, f"the volume is {change:.3g} times that of the start")
        distance = largest_speed * units.fs * self.timestep
        if not distance <= LONGEST_STEP:
            raise self.explosion(step, f"an atom moves {distance:.2f} Å in one step")

    def steps(
        self, dynamics: MolecularDynamics, n_steps: int, writer: TrajectoryWriter
    ) -> Iterator[int]:
        """Run the dynamics and yield the number of each step, the first one included.

        The structure at which it stops is written last.
        """
        run = dynamics.irun(n_steps)
        while True:
            try:
                next(run)
                self.record(dynamics.nsteps)
                if dynamics.nsteps > self.first_step:
                    writer.confirm()
            except StopIteration:
                return
            except ExplosionError:
                writer.write(self.atoms, self.about(dynamics.nsteps))
                raise
            except UserError as error:  # the structure has become invalid
                if isinstance(error.__cause__, torch.cuda.OutOfMemoryError):
                    raise
                writer.write(self.atoms, self.about(dynamics.nsteps + 1))
                raise self.explosion(dynamics.nsteps + 1, error.what) from error
            yield dynamics.nsteps

    def time(self, step: int) -> float:
        """Return the time of a step in fs."""
        return self.first_time + (step - self.first_step) * self.timestep

    def about(self, step: int) -> dict[str, int | float | str]:
        """Return the record of a structure in the trajectory, for a run that continues from it."""
        return {"step": step, "time_fs": self.time(step), "dynamics": self.dynamics}

    def explosion(self, step: int, event: str) -> ExplosionError:
        """Return the error with the event, the step, the fastest atom, and advice."""
        speed = np.linalg.norm(self.atoms.get_velocities(), axis=1) * units.fs
        atom = int(np.nanargmax(speed)) if np.isfinite(speed).any() else 0
        try:
            outside = self.calculator.fraction_extrapolating()
        except UserError:  # coincident atoms, or positions that are not finite
            outside = float("nan")
        extrapolating = "" if np.isnan(outside) else f"; {outside:.0%} of all atoms extrapolate"
        return ExplosionError(
            f"The dynamics exploded: {event.removesuffix('.')}.",
            f"{self._place(step)}; the fastest atom is {atom}"
            f" ({self.atoms.symbols[atom]}), {speed[atom]:.3f} Å/fs{extrapolating}",
            "Relax the structure first, use a shorter time step, or train on structures like the"
            " last ones of the trajectory.",
        )

    def stop(self, step: int, reason: str) -> ExplosionError:
        """Return the error of a run that leaves the range of the training data."""
        return ExplosionError(
            f"The dynamics stopped: {reason}.",
            self._place(step),
            "Train on structures like the last one of the trajectory, or increase the limit.",
        )

    def _check_spread(self, step: int) -> None:
        deviations = self.calculator.results.get("forces_std")
        if deviations is None:
            return
        lengths = np.linalg.norm(deviations, axis=1)
        atom = int(lengths.argmax())
        self.spread = float(lengths[atom])
        if not self.spread <= self.max_spread:
            raise self.stop(
                step,
                f"the standard deviation of the force on atom {atom}"
                f" ({self.atoms.symbols[atom]}) is {self.spread:.3f} eV/Å",
            )

    def _place(self, step: int) -> str:
        return f"step {step} ({1e-3 * self.time(step):.4f} ps)"
