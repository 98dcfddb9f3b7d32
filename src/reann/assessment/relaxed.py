"""Relaxation to a tight minimum, for what is measured there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, simplefilter

import ase
import numpy as np
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE, LBFGS
from numpy.typing import NDArray

FMAX = 1e-3
"""eV/Å; wavenumbers and elastic constants change by less than 1 % below it."""
MOST_STEPS = 600
LARGEST_STEP = 0.1
"""Å, of a step of the optimizer."""


@dataclass(frozen=True)
class Relaxed:
    """Where a relaxation ended."""

    atoms: ase.Atoms
    """With calculator."""
    converged: bool
    steps: int
    fmax: float
    """Largest force on an atom, eV/Å."""
    energies: NDArray[np.float64]
    """Of each step, eV."""


def relaxed(
    atoms: ase.Atoms,
    *,
    cell: bool = False,
    fmax: float = FMAX,
    is_late: Callable[[], bool] = lambda: False,
) -> Relaxed:
    """Relax the positions of a structure with a calculator, and its cell; the input stays as it is.

    L-BFGS goes first; where it does not end, FIRE goes on from the start.
    """
    best: Relaxed | None = None
    for optimizer in (LBFGS, FIRE):
        result = _searched(atoms, optimizer, fmax, is_late, cell=cell)
        if best is None or result.fmax < best.fmax or not np.isfinite(best.fmax):
            best = result
        if best.converged or is_late():
            break
    assert best is not None
    return best


def _searched(
    atoms: ase.Atoms,
    optimizer: type[LBFGS | FIRE],
    fmax: float,
    is_late: Callable[[], bool],
    *,
    cell: bool,
) -> Relaxed:
    moving = atoms.copy()
    moving.calc = atoms.calc
    energies: list[float] = []
    largest = np.inf
    target: Any = FrechetCellFilter(moving) if cell else moving
    quiet: Any = None
    with catch_warnings(), optimizer(target, logfile=quiet, maxstep=LARGEST_STEP) as search:
        simplefilter("ignore", RuntimeWarning)  # of the logarithm of a deformation, exact enough
        for _ in search.irun(fmax=fmax, steps=MOST_STEPS):
            energies.append(moving.get_potential_energy())
            largest = float(np.linalg.norm(target.get_forces(), axis=1).max())
            if not np.isfinite(largest) or is_late():
                break
        steps = search.nsteps
    return Relaxed(moving, largest < fmax, steps, largest, np.array(energies))
