"""Relaxation of positions, and of the cell, with ASE's optimizers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from ase import units
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE, LBFGS
from numpy.typing import NDArray

from reann.errors import UserError, counted
from reann.interfaces.ase import Calculator
from reann.motion.settings import check_number
from reann.motion.start import at_start, read_start
from reann.output_files import check_outputs
from reann.potential import Ensemble, Potential
from reann.simulate.table import GrowingTable
from reann.simulate.trail import Trail

HEADINGS = ("step\n", "      energy\n          eV", "max force\neV/Å", "    volume\n        Å³")
OF_CELL = ("pressure\nGPa", "  pressure\n     eV/Å³")
OPTIMIZERS = {"lbfgs": LBFGS, "fire": FIRE}


@dataclass(frozen=True)
class Relaxation:
    """Where a relaxation ended."""

    atoms: ase.Atoms
    """The relaxed structure, with its calculator."""
    converged: bool
    """Whether the largest force fell below the limit."""
    steps: int
    energy: float
    """eV."""
    fmax: float
    """Largest force on an atom at the end, eV/Å; with a cell also its generalized force."""


def relax(
    model: Potential | Ensemble | str | Path,
    start: ase.Atoms | str | Path,
    fmax: float = 0.01,
    *,
    cell: bool = False,
    output: str | Path | None = None,
    max_steps: int = 1000,
    optimizer: str = "lbfgs",
    engine: str = "auto",
    device: str | None = None,
    quiet: bool = False,
) -> Relaxation:
    """Relax a structure; constraints hold, and the given structure stays as it is.

    The relaxed structure has no velocities.

    Parameters
    ----------
    start
        A structure, or a file whose last structure is taken.
    fmax
        Largest force at the end, eV/Å; with a cell also the largest virial per atom, eV.
    cell
        Relax the cell, too; it must be periodic in three dimensions.
    output
        File of all steps: `.xyz`, `.extxyz` or `.traj`. The last one is the relaxed structure. An
        existing file is replaced after the first step.
    max_steps
        Give up after so many steps.
    optimizer
        `lbfgs`, or the slower and more robust `fire`.
    engine, device
        As for `Calculator`.

    Raises
    ------
    UserError
        For files, structures, elements and settings that cannot be used, for outputs that cannot
        be written or would replace an input, and when energy or forces become infinite.
    """
    plan = _Plan(fmax, max_steps, optimizer, cell)
    plan.check()
    check_outputs({"--output": output}, [model, start])
    trail = Trail(output)
    atoms, origin = read_start(start)
    atoms.arrays.pop("momenta", None)
    plan.check_cell(atoms)
    atoms.calc = calculator = Calculator(model, engine=engine, device=device)
    calculator.potential.model.heads.require()
    with at_start(origin):
        atoms.get_forces()
    table = GrowingTable([*HEADINGS, *(OF_CELL if cell else ())], quiet=quiet)
    with trail, table:
        steps, largest = _search(atoms, plan, trail, table)
    done = largest < fmax
    table.write(_verdict(done, steps, largest, fmax))
    if (deviations := atoms.calc.results.get("forces_std")) is not None:
        table.write(_spread(atoms, deviations))
    return Relaxation(atoms, done, steps, atoms.get_potential_energy(), largest)


@dataclass(frozen=True)
class _Plan:
    """How to search, and how long."""

    fmax: float
    max_steps: int
    optimizer: str
    cell: bool

    def check(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise UserError(
                f"'{self.optimizer}' is not an optimizer.",
                fix=f"Use one of {', '.join(OPTIMIZERS)}.",
            )
        check_number("largest force", self.fmax, "eV/Å", above=0.0)
        check_number("number of steps", float(self.max_steps), least=1.0)

    def check_cell(self, atoms: ase.Atoms) -> None:
        if self.cell and not atoms.pbc.all():
            raise UserError(
                "The cell can be relaxed where it is periodic in three dimensions.",
                f"pbc is {atoms.pbc.tolist()}",
                "Relax the positions only, or set pbc.",
            )


def _search(atoms: ase.Atoms, plan: _Plan, trail: Trail, table: GrowingTable) -> tuple[int, float]:
    """Relax the atoms; return the number of steps and the largest force at the end, eV/Å."""
    moving = FrechetCellFilter(atoms) if plan.cell else atoms
    interval, largest = max(1, plan.max_steps // 200), np.inf
    with OPTIMIZERS[plan.optimizer](moving, logfile=None) as search:
        for _ in search.irun(fmax=plan.fmax, steps=plan.max_steps):
            largest = _largest_force(moving, search.nsteps)
            trail.write(atoms, {"step": search.nsteps})
            if search.nsteps > 0:
                trail.confirm()
            if search.nsteps % interval == 0 or largest < plan.fmax:
                table.add(_row(atoms, search.nsteps, largest, cell=plan.cell))
        if largest >= plan.fmax and search.nsteps % interval:
            table.add(_row(atoms, search.nsteps, largest, cell=plan.cell))
        return search.nsteps, largest


def _largest_force(moving: ase.Atoms | FrechetCellFilter, step: int) -> float:
    largest = float(np.linalg.norm(moving.get_forces(), axis=1).max())
    if not np.isfinite(largest):
        raise UserError(
            "The forces are not finite any more.",
            f"step {step} of the relaxation",
            "Start from a structure closer to the training data, or use --optimizer fire.",
        )
    return largest


def _row(atoms: ase.Atoms, step: int, largest: float, *, cell: bool) -> list[str]:
    volume = f"{atoms.get_volume():.2f}" if atoms.pbc.all() else "–"
    cells = [str(step), f"{atoms.get_potential_energy():.5f}", f"{largest:.4f}", volume]
    if cell:
        pressure = -float(atoms.get_stress()[:3].sum()) / 3.0
        cells += [f"{pressure / units.GPa:.3f}", f"{pressure:.6f}"]
    return cells


def _spread(atoms: ase.Atoms, deviations: NDArray[np.float64]) -> str:
    lengths = np.linalg.norm(deviations, axis=1)
    atom = int(lengths.argmax())
    return (
        f"The members of the ensemble disagree most on the force on atom {atom}"
        f" ({atoms.symbols[atom]}): by {lengths[atom]:.3f} eV/Å."
    )


def _verdict(done: bool, steps: int, largest: float, fmax: float) -> str:
    if done:
        return f"Relaxed in {counted(steps, 'step')}: largest force {largest:.4f} eV/Å."
    return (
        f"Not relaxed after {counted(steps, 'step')}: largest force {largest:.4f} eV/Å,"
        f" wanted {fmax:g}.\n"
        "Give `reann relax` more --max-steps, --optimizer fire, or a larger --fmax."
    )
