"""Watches molecular dynamics: temperature and total energy of every step, and the alarm."""

from __future__ import annotations

from collections.abc import Iterator

import ase
import numpy as np
import torch
from ase import units
from ase.md.md import MolecularDynamics

from reann.engines.ase import Calculator
from reann.engines.files import Trail
from reann.errors import UserError

HOTTEST = 10.0
"""A temperature above this many times the wanted one, or 300 K if that is more, is an explosion."""
LONGEST_STEP = 0.3
"""Å; an atom that moves farther within one step has exploded."""


class ExplosionError(UserError):
    """The dynamics left the range where forces and time step make sense."""


class Watch:
    """Temperature and total energy of every step, and the alarm."""

    def __init__(
        self,
        atoms: ase.Atoms,
        calculator: Calculator,
        freedom: int,
        timestep: float,
        temperature: float,
    ) -> None:
        self.atoms, self.calculator = atoms, calculator
        self.freedom, self.timestep = freedom, timestep
        self.limit = HOTTEST * max(temperature, 300.0)
        self.temperature: list[float] = []
        self.total_energy: list[float] = []

    def look(self, step: int) -> None:
        """Record a step; raise `ExplosionError` where it makes no sense."""
        kinetic = self.atoms.get_kinetic_energy()
        temperature = 2.0 * kinetic / (self.freedom * units.kB)
        energy = self.atoms.get_potential_energy() + kinetic
        self.temperature.append(temperature)
        self.total_energy.append(energy)
        speed = np.linalg.norm(self.atoms.get_velocities(), axis=1) * units.fs
        if not np.isfinite(energy):
            raise self.explosion(step, "the energy is no finite number")
        if not temperature <= self.limit:
            raise self.explosion(step, f"the temperature is {temperature:.0f} K")
        if not speed.max() * self.timestep <= LONGEST_STEP:
            raise self.explosion(
                step, f"an atom moves {speed.max() * self.timestep:.2f} Å in one step"
            )

    def steps(self, dynamics: MolecularDynamics, n_steps: int, trail: Trail) -> Iterator[None]:
        """Run the dynamics; the structure that exploded is the last one written."""
        run = dynamics.irun(n_steps)
        while True:
            try:
                next(run)
                self.look(dynamics.nsteps)
            except StopIteration:
                return
            except ExplosionError:
                trail.write(self.atoms)
                raise
            except UserError as error:  # of a structure that no start would have
                if isinstance(error.__cause__, torch.cuda.OutOfMemoryError):
                    raise
                trail.write(self.atoms)
                raise self.explosion(dynamics.nsteps + 1, error.what) from error
            yield

    def explosion(self, step: int, what: str) -> ExplosionError:
        """Return the error: what happened, when, which atom is the fastest, what to do."""
        speed = np.linalg.norm(self.atoms.get_velocities(), axis=1) * units.fs
        atom = int(np.nanargmax(speed)) if np.isfinite(speed).any() else 0
        try:
            outside = self.calculator.fraction_extrapolating()
        except UserError:  # coincident atoms, or positions that are no numbers
            outside = float("nan")
        known = "" if np.isnan(outside) else f"; {outside:.0%} of all atoms extrapolate"
        return ExplosionError(
            f"The dynamics exploded: {what}.",
            f"step {step} ({step * self.timestep * 1e-3:.4f} ps); the fastest atom is {atom}"
            f" ({self.atoms.symbols[atom]}), {speed[atom]:.3f} Å/fs{known}",
            "Relax the start first, take a shorter time step, or train on structures like the"
            " last ones of the trajectory.",
        )

    def row(self, step: int, outside: float, speed: float) -> list[str]:
        """Return the cells of the table."""
        change = 1e3 * (self.total_energy[-1] - self.total_energy[0]) / len(self.atoms)
        per_day = speed * self.timestep * 86400e-6
        cells = [f"{step * self.timestep * 1e-3:.3f}", f"{self.temperature[-1]:.0f}"]
        cells += [f"{change:.3f}", _or_dash(f"{1e2 * outside:.1f}", outside)]
        cells += [_or_dash(f"{speed:.1f}", speed), _or_dash(f"{per_day:.3f}", per_day)]
        return [*cells, _or_dash(f"{1e6 / speed / len(self.atoms):.1f}", speed)]


def _or_dash(text: str, value: float) -> str:
    return "–" if np.isnan(value) else text
