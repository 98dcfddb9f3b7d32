"""Dynamics of a liquid at constant temperature, shared by several checks."""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.dynamics import constant_temperature, thermalized
from reann.assessment.nve import until_limit

EQUILIBRATION = 2000.0
"""Langevin dynamics before the run, fs."""
SAMPLE = 20
"""Steps between the structures that are kept."""
ATOM_STEPS, FEWEST_STEPS, MOST_STEPS = 4_000_000, 4000, 20_000
"""Steps times atoms of a run by default; its fewest and most steps."""
N_BLOCKS = 4


@dataclass(frozen=True)
class Sample:
    """Structures along a trajectory."""

    like: ase.Atoms
    """The first structure."""
    positions: NDArray[np.float64]
    """Positions that are not wrapped into the cell, (structures, atoms, 3), Å."""
    interval: float
    """fs between structures."""
    temperature: float
    """K, mean."""
    complete: bool
    """False if the time limit ended the run."""

    @property
    def time(self) -> float:
        """Length of the trajectory, ps."""
        return 1e-3 * self.interval * len(self.positions)

    def blocks(self) -> list[NDArray[np.float64]]:
        """Return the positions in equal parts."""
        length = len(self.positions) // N_BLOCKS
        return [self.positions[i * length : (i + 1) * length] for i in range(N_BLOCKS)]


def sampled(case: Case) -> Sample:
    """Return the trajectory of a case; the simulation runs once per case.

    Raises
    ------
    ExplosionError
        If the dynamics explodes.
    """
    if "liquid" not in case.shared:
        case.shared["liquid"] = _run(case)
    return case.shared["liquid"]


def n_steps(case: Case) -> int:
    """Return the number of steps, from the settings or from the number of atoms."""
    if case.settings.time is not None:
        return max(round(case.settings.time / case.timestep), 4 * N_BLOCKS * SAMPLE)
    return int(np.clip(ATOM_STEPS // len(case.atoms), FEWEST_STEPS, MOST_STEPS))


def _run(case: Case) -> Sample:
    temperature, dt = case.settings.temperature, case.timestep
    total = n_steps(case)
    before = round(EQUILIBRATION / dt)
    share = before / (before + total)
    rng = case.rng("liquid")
    atoms = thermalized(
        case.start(case.calculator),
        *(temperature, EQUILIBRATION, dt, rng),
        on_step=until_limit(case, before, 0.0, share),
    )
    on_step = until_limit(case, total, share, 1.0)
    positions, temperatures, complete = [], [], True
    for step in constant_temperature(atoms, temperature, dt, total, rng):
        if step and step % SAMPLE == 0:
            positions.append(atoms.get_positions())
            temperatures.append(atoms.get_temperature())
        if on_step(step) and len(positions) >= 2 * N_BLOCKS:
            complete = step >= total
            break
    return Sample(atoms, np.array(positions), SAMPLE * dt, float(np.mean(temperatures)), complete)
