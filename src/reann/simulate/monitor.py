"""Watches molecular dynamics: what every step gives, and when the dynamics has to stop."""

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
from reann.simulate.trail import Trail

HOTTEST = 10.0
"""A temperature above this many times the highest of the wanted one, that of the start and 300 K is
an explosion."""
LARGEST_CHANGE = 100.0
"""A volume that is so many times that of the start, or a part of it, is an explosion."""
LONGEST_STEP = 0.3
"""Å; an atom that moves farther within one step has exploded."""


class ExplosionError(UserError):
    """The dynamics left the range where forces and time step make sense."""


class Watch:
    """Temperature, total energy and more of every step, and the alarm.

    Parameters
    ----------
    freedom
        Degrees of freedom that carry the kinetic energy.
    timestep
        fs.
    temperature
        K, the wanted one.
    first_step, first_time
        Where an earlier run ended, which this one continues; time in fs.
    pressures
        Whether pressure and volume are recorded; the structure is periodic in three dimensions.
    max_spread
        eV/Å; the run stops when the members of an ensemble disagree more on the force on an atom.
    dynamics
        Ensemble, time step and the like in words, which the trajectory records.
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
        """Largest disagreement of the members about the force on an atom, eV/Å, of this step."""

    def look(self, step: int) -> None:
        """Record a step; raise `ExplosionError` where it makes no sense."""
        potential_energy = self.atoms.get_potential_energy()
        kinetic = self.atoms.get_kinetic_energy()
        temperature = 2.0 * kinetic / (self.freedom * units.kB)
        energy = potential_energy + kinetic
        self.temperature.append(temperature)
        self.total_energy.append(energy)
        if self.pressures:
            volume = self.atoms.get_volume()
            virial = -volume * float(self.calculator.results["stress"][:3].sum())
            self.volume.append(volume)
            self.pressure.append((virial + 2.0 * kinetic) / (3.0 * volume) / units.bar)
        speed = np.linalg.norm(self.atoms.get_velocities(), axis=1) * units.fs
        if not np.isfinite(energy):
            raise self.explosion(step, "the energy is not finite")
        if not temperature <= self.limit:
            raise self.explosion(step, f"the temperature is {temperature:.0f} K")
        if self.pressures:
            change = self.volume[-1] / self.volume[0]
            if not 1.0 / LARGEST_CHANGE <= change <= LARGEST_CHANGE:
                raise self.explosion(step, f"the volume is {change:.3g} times that of the start")
        if not speed.max() * self.timestep <= LONGEST_STEP:
            raise self.explosion(
                step, f"an atom moves {speed.max() * self.timestep:.2f} Å in one step"
            )
        self._compare_members(step)

    def steps(self, dynamics: MolecularDynamics, n_steps: int, trail: Trail) -> Iterator[None]:
        """Run the dynamics; the structure at which it stops is the last one written."""
        run = dynamics.irun(n_steps)
        while True:
            try:
                next(run)
                self.look(dynamics.nsteps)
                if dynamics.nsteps > self.first_step:
                    trail.confirm()
            except StopIteration:
                return
            except ExplosionError:
                trail.write(self.atoms, self.about(dynamics.nsteps))
                raise
            except UserError as error:  # of a structure that no start would have
                if isinstance(error.__cause__, torch.cuda.OutOfMemoryError):
                    raise
                trail.write(self.atoms, self.about(dynamics.nsteps + 1))
                raise self.explosion(dynamics.nsteps + 1, error.what) from error
            yield

    def time(self, step: int) -> float:
        """Return the time of a step in fs."""
        return self.first_time + (step - self.first_step) * self.timestep

    def about(self, step: int) -> dict[str, int | float | str]:
        """Return what the trajectory says about a structure, so that a run can continue from it."""
        return {"step": step, "time_fs": self.time(step), "dynamics": self.dynamics}

    def explosion(self, step: int, what: str) -> ExplosionError:
        """Return the error: what happened, when, which atom is the fastest, what to do."""
        speed = np.linalg.norm(self.atoms.get_velocities(), axis=1) * units.fs
        atom = int(np.nanargmax(speed)) if np.isfinite(speed).any() else 0
        try:
            outside = self.calculator.fraction_extrapolating()
        except UserError:  # coincident atoms, or positions that are not finite
            outside = float("nan")
        known = "" if np.isnan(outside) else f"; {outside:.0%} of all atoms extrapolate"
        return ExplosionError(
            f"The dynamics exploded: {what.removesuffix('.')}.",
            f"{self._place(step)}; the fastest atom is {atom}"
            f" ({self.atoms.symbols[atom]}), {speed[atom]:.3f} Å/fs{known}",
            "Relax the start first, take a shorter time step, or train on structures like the"
            " last ones of the trajectory.",
        )

    def stop(self, step: int, what: str) -> ExplosionError:
        """Return the error of a run that leaves what the potential knows."""
        return ExplosionError(
            f"The dynamics stopped: {what}.",
            self._place(step),
            "Train on structures like the last one of the trajectory, or allow more.",
        )

    def _compare_members(self, step: int) -> None:
        deviations = self.calculator.results.get("forces_std")
        if deviations is None:
            return
        lengths = np.linalg.norm(deviations, axis=1)
        atom = int(lengths.argmax())
        self.spread = float(lengths[atom])
        if not self.spread <= self.max_spread:
            raise self.stop(
                step,
                f"the members of the ensemble disagree by {self.spread:.3f} eV/Å on the force on"
                f" atom {atom} ({self.atoms.symbols[atom]})",
            )

    def _place(self, step: int) -> str:
        return f"step {step} ({1e-3 * self.time(step):.4f} ps)"
