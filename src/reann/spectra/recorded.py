"""What a trajectory says about itself: times, velocities, cells."""

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
"""Part by which times between structures, or time steps, may differ."""


@dataclass
class Recorded:
    """Notes taken of structures that stream by, one entry for each."""

    times: list[float] = field(default_factory=list)
    """fs, as `time_fs` of the structures; NaN where it is not recorded."""
    temperatures: list[float] = field(default_factory=list)
    """K, of the velocities; NaN where there are none."""
    volumes: list[float] = field(default_factory=list)
    """Å^3; NaN where the structure is not periodic in three dimensions."""
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
        """Yield the structures, and take notes.

        Raises
        ------
        UserError
            For a structure whose atoms or periodicity are not those of the first one.
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
                    "The structures are no trajectory: they differ in atoms or periodicity.",
                    origin,
                    "Give the structures of one run; of a single structure, --harmonic.",
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

    def temperature(self, stated: float | None) -> float:
        """Return the stated temperature, or the mean one of the velocities, in K.

        Raises
        ------
        UserError
            If a structure lacks velocities and no temperature is stated.
        """
        if stated is not None:
            return stated
        mean = float(np.mean(self.temperatures))
        if np.isnan(mean):
            raise UserError(
                "The trajectory does not record velocities, so its temperature is not known.",
                "--temperature",
                "Give the temperature of the run: --temperature 300.",
            )
        return mean

    def timestep(self, stated: float | None) -> float:
        """Return the time between two structures in fs.

        Raises
        ------
        UserError
            If it is neither recorded nor stated, or both and they differ, or if it changes.
        """
        steps = np.diff(self.times)
        if np.isnan(steps).any():
            if stated is not None:
                return stated
            raise no_time()
        step = float(np.median(steps))
        other = np.flatnonzero(np.abs(steps - step) > SAME * abs(step))
        if step <= 0 or len(other):
            i = int(other[0]) if len(other) else 0
            raise UserError(
                "The structures are not equally far apart in time.",
                f"{steps[i]:g} fs from structure {i} to {i + 1}, mostly {step:g} fs",
                "Give a part of the trajectory that one run has written.",
            )
        if stated is not None and abs(stated - step) > SAME * step:
            raise UserError(
                f"The structures are {step:g} fs apart, as the trajectory records.",
                f"--timestep {stated:g}",
                "Leave it out.",
            )
        return step


def no_time() -> UserError:
    """Return the error of several structures without times."""
    return UserError(
        "The structures do not record their times.",
        "time_fs, as `reann md` writes it",
        "For the spectrum of a trajectory give the time between two structures in fs:"
        " --timestep 0.5. For that of the last structure alone: --harmonic.",
    )
