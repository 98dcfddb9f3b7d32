"""Relaxation to a tight minimum, for checks that start there."""

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
"""eV/Å; a tighter limit changes wavenumbers and elastic constants by less than 1 %."""
MOST_STEPS = 600
LARGEST_STEP = 0.1
"""Largest step of the optimizer, Å."""


@dataclass(frozen=True)
class Relaxed:
    """Result of a relaxation."""

    atoms: ase.Atoms
    """Relaxed structure, with its calculator."""
    converged: bool
    steps: int
    fmax: float
    """Largest force on an atom, eV/Å."""
    energies: NDArray[np.float64]
    """Energy at each step, eV."""


def relaxed(
    atoms: ase.Atoms,
    *,
    cell: bool = False,
    fmax: float = FMAX,
    is_late: Callable[[], bool] = lambda: False,
) -> Relaxed:
    """Return a relaxed copy of a structure with a calculator, optionally with its cell.

    L-BFGS is tried first; if it does not converge, FIRE starts from the same structure.
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
