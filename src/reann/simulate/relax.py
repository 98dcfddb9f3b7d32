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
from reann.simulate.relaxation import Relaxation
from reann.simulate.table import GrowingTable
from reann.simulate.trajectory_file import TrajectoryWriter

HEADINGS = ("step\n", "      energy\n          eV", "max force\neV/Å", "    volume\n        Å³")
OF_CELL = ("pressure\nGPa", "  pressure\n     eV/Å³")
OPTIMIZERS = {"lbfgs": LBFGS, "fire": FIRE}


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
    """Relax a structure with its constraints; the given structure is not changed.

    The relaxed structure has no velocities.

    Parameters
    ----------
    model
        A potential, a `.reann` file or a run folder.
    start
        A structure, or a file, of which the last structure is used.
    fmax
        Limit of the largest force, eV/Å; with `cell` also of the largest virial per atom, eV.
    cell
        Also relax the cell, which must be periodic in three dimensions.
    output
        File of all steps: `.xyz`, `.extxyz` or `.traj`. The last one is the relaxed structure. An
        existing file is replaced after the first step.
    max_steps
        Maximum number of steps.
    optimizer
        `lbfgs`, or the slower and more robust `fire`.
    engine, device
        As for `Calculator`.
    quiet
        Print nothing.

    Returns
    -------
    Relaxation
        The relaxed structure, energies and forces, with `.table()` and `.plot()`.

    Raises
    ------
    UserError
        If an input cannot be used, an output cannot be written or would replace an input, or energy
        or forces are not finite.
    """
    plan = _Plan(fmax, max_steps, optimizer, cell)
    plan.check()
    check_outputs({"--output": output}, [model, start])
    writer = TrajectoryWriter(output)
    atoms, origin = read_start(start)
    atoms.arrays.pop("momenta", None)
    plan.check_cell(atoms)
    atoms.calc = calculator = Calculator(model, engine=engine, device=device)
    calculator.potential.model.heads.require()
    calculator.potential.input_keys.rename(atoms, origin)
    with at_start(origin):
        atoms.get_forces()
    table = GrowingTable([*HEADINGS, *(OF_CELL if cell else ())], quiet=quiet)
    with writer, table:
        energies, forces = _search(atoms, plan, writer, table)
    result = Relaxation(atoms, forces[-1] < fmax, np.array(energies), np.array(forces))
    table.write(_verdict(result, fmax))
    if (deviations := atoms.calc.results.get("forces_std")) is not None:
        table.write(_spread(atoms, deviations))
    return result


@dataclass(frozen=True)
class _Plan:
    """Settings of a relaxation."""

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
                "Only a cell that is periodic in three dimensions can be relaxed.",
                f"pbc is {atoms.pbc.tolist()}",
                "Relax the positions only, or set pbc.",
            )


def _search(
    atoms: ase.Atoms, plan: _Plan, writer: TrajectoryWriter, table: GrowingTable
) -> tuple[list[float], list[float]]:
    """Relax the atoms; return the energy (eV) and the largest force (eV/Å) of each step."""
    moving = FrechetCellFilter(atoms) if plan.cell else atoms
    interval, energies, forces = max(1, plan.max_steps // 200), [], []
    with OPTIMIZERS[plan.optimizer](moving, logfile=None) as search:
        for _ in search.irun(fmax=plan.fmax, steps=plan.max_steps):
            largest = _largest_force(moving, search.nsteps)
            energies.append(float(atoms.get_potential_energy()))
            forces.append(largest)
            writer.write(atoms, {"step": search.nsteps})
            if search.nsteps > 0:
                writer.confirm()
            if search.nsteps % interval == 0 or largest < plan.fmax:
                table.add(_row(atoms, search.nsteps, largest, cell=plan.cell))
        if forces[-1] >= plan.fmax and search.nsteps % interval:
            table.add(_row(atoms, search.nsteps, forces[-1], cell=plan.cell))
    return energies, forces


def _largest_force(moving: ase.Atoms | FrechetCellFilter, step: int) -> float:
    largest = float(np.linalg.norm(moving.get_forces(), axis=1).max())
    if not np.isfinite(largest):
        raise UserError(
            "The forces are not finite.",
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
        f"Largest standard deviation of a force: {lengths[atom]:.3f} eV/Å, on atom {atom}"
        f" ({atoms.symbols[atom]})."
    )


def _verdict(result: Relaxation, fmax: float) -> str:
    steps = counted(result.steps, "step")
    if result.converged:
        return f"Relaxed in {steps}: largest force {result.fmax:.4f} eV/Å."
    return (
        f"Not relaxed after {steps}: largest force {result.fmax:.4f} eV/Å, limit {fmax:g}.\n"
        "Increase --max-steps or --fmax, or use --optimizer fire."
    )
