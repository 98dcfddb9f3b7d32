"""Times, velocities and cells of a trajectory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import ase
import numpy as np
from ase import units
from numpy.typing import NDArray

from reann.errors import UserError
from reann.motion.dynamics import degrees_of_freedom, has_velocities, temperature_of

SAME = 1e-4
"""Relative tolerance for equal time steps."""


@dataclass
class Recorded:
    """Values recorded from a stream of structures, one entry for each."""

    times: list[float] = field(default_factory=list)
    """fs, from `time_fs` of the structures; NaN if absent."""
    temperatures: list[float] = field(default_factory=list)
    """K, from the velocities; NaN if there are none."""
    volumes: list[float] = field(default_factory=list)
    """Å^3; NaN if the structure is not periodic in three dimensions."""
    has_hydrogen: bool = False
    is_periodic: bool = False
    """In any direction."""
    keeps_motion: bool = False
    """Whether positions and velocities are kept, too."""
    positions: list[NDArray[np.float64]] = field(default_factory=list)
    """Å, (atoms, 3) each."""
    velocities: list[NDArray[np.float64]] = field(default_factory=list)
    """Å/fs, (atoms, 3) each."""

    def of(self, frames: Iterable[tuple[ase.Atoms, str]]) -> Iterator[ase.Atoms]:
        """Yield the structures, and record their values.

        Raises
        ------
        UserError
            For a structure whose atoms or periodicity differ from those of the first one.
        """
        first, freedom = None, 0
        for atoms, origin in frames:
            if first is None:
                first = atoms
                self.has_hydrogen = 1 in atoms.numbers
                self.is_periodic = bool(atoms.pbc.any())
                freedom = degrees_of_freedom(atoms, "nve")
            elif not np.array_equal(atoms.numbers, first.numbers) or (atoms.pbc != first.pbc).any():
                raise UserError(
                    "The structures are not a trajectory: they differ in atoms or periodicity.",
                    origin,
                    "Use the structures of one run; for a single structure add --harmonic.",
                )
            self.times.append(float(atoms.info.get("time_fs", np.nan)))
            moving = has_velocities(atoms)
            self.temperatures.append(temperature_of(atoms, freedom) if moving else np.nan)
            self.volumes.append(atoms.get_volume() if atoms.pbc.all() else np.nan)
            if self.keeps_motion:
                self.positions.append(atoms.positions.copy())
                self.velocities.append(atoms.get_velocities() * units.fs)
            yield atoms

    @property
    def volume(self) -> float | None:
        """Mean volume in Å^3, or None."""
        mean = float(np.mean(self.volumes))
        return None if np.isnan(mean) else mean

    def temperature(self, by_user: float | None) -> float:
        """Return the temperature given by the user, or the mean from the velocities, in K.

        Raises
        ------
        UserError
            If a structure has no velocities and no temperature is given.
        """
        if by_user is not None:
            return by_user
        mean = float(np.mean(self.temperatures))
        if np.isnan(mean):
            raise UserError(
                "The trajectory has no velocities, so its temperature is unknown.",
                "--temperature",
                "Set the temperature of the run: --temperature 300.",
            )
        return mean

    def timestep(self, by_user: float | None) -> float:
        """Return the time between two structures in fs.

        Raises
        ------
        UserError
            If it is neither recorded nor given, if both differ, or if it is not constant.
        """
        steps = np.diff(self.times)
        if np.isnan(steps).any():
            if by_user is not None:
                return by_user
            raise no_time()
        step = float(np.median(steps))
        other = np.flatnonzero(np.abs(steps - step) > SAME * abs(step))
        if step <= 0 or len(other):
            i = int(other[0]) if len(other) else 0
            raise UserError(
                "The structures are not equally far apart in time.",
                f"{steps[i]:g} fs from structure {i} to {i + 1}, mostly {step:g} fs",
                "Use a part of the trajectory with a constant interval.",
            )
        if by_user is not None and abs(by_user - step) > SAME * step:
            raise UserError(
                f"According to the trajectory, the structures are {step:g} fs apart.",
                f"--timestep {by_user:g}",
                "Leave it out.",
            )
        return step


def no_time() -> UserError:
    """Return the error for structures without times."""
    return UserError(
        "The structures do not record their times.",
        "time_fs, as `reann md` writes it",
        "For the spectrum of a trajectory, give the time between structures in fs:"
        " --timestep 0.5. For the spectrum of the last structure, use --harmonic.",
    )
