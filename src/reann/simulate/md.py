"""Molecular dynamics with ASE's integrators, a table, and an error if the dynamics explodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np

from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.motion.dynamics import (
    check_ensemble,
    degrees_of_freedom,
    draw_velocities,
    has_velocities,
)
from reann.motion.settings import Dynamics
from reann.motion.start import at_start, time_step
from reann.output_files import check_outputs
from reann.potential import Ensemble, Potential
from reann.simulate import md_table
from reann.simulate.continuation import Start, start_of
from reann.simulate.field import set_field
from reann.simulate.md_loop import propagate
from reann.simulate.md_result import Trajectory
from reann.simulate.monitor import Monitor
from reann.simulate.outputs import check_outputs_of_model
from reann.simulate.relax import relax
from reann.simulate.resident_run import steps_of
from reann.simulate.table import GrowingTable
from reann.simulate.trajectory_file import TrajectoryWriter

PRESSURE, FRICTION = 1.0, 0.01
"""Defaults, bar and 1/fs."""


def run_md(
    model: Potential | Ensemble | str | Path,
    start: ase.Atoms | str | Path,
    *,
    temperature: float,
    time: float = 10_000.0,
    ensemble: str = "langevin",
    timestep: float | None = None,
    pressure: float | None = None,
    friction: float | None = None,
    output: str | Path | None = None,
    interval: int | None = None,
    seed: int = 1,
    relax_first: bool = False,
    new_velocities: bool = False,
    append: bool = False,
    max_extrapolating: float = 1.0,
    max_spread: float | None = None,
    write: Sequence[str] = (),
    field: Sequence[float] | None = None,
    engine: str = "auto",
    device: str | None = None,
    quiet: bool = False,
) -> Trajectory:
    """Run molecular dynamics with the constraints of the structure, which is not changed.

    Velocities are those of the start; if it has none, they are drawn from the Maxwell-Boltzmann
    distribution. Langevin dynamics thermalizes all degrees of freedom, including the center of
    mass; in NVE with drawn velocities the center of mass is at rest. NPT is Langevin dynamics with
    a stochastic barostat that scales the cell equally in all directions (Quigley and Probert,
    J. Chem. Phys. 120, 11432 (2004)).

    Parameters
    ----------
    model
        A potential, a `.reann` file or a run folder.
    start
        A structure, or a file, of which the last structure is used.
    temperature
        K.
    time, timestep
        fs; the default of the time step is 0.5 fs with hydrogen, else 1 fs.
    ensemble
        `langevin`, `nve` or `npt`.
    pressure
        bar, for npt only; by default 1 bar.
    friction
        1/fs, for langevin and npt; by default 0.01 per fs.
    output
        Trajectory to write: `.xyz`, `.extxyz` or `.traj`. An existing one is replaced after the
        first step.
    interval
        Steps between structures written; by default about 500 structures.
    relax_first
        Relax the positions first, to 0.05 eV/Å; velocities are then drawn.
    new_velocities
        Draw velocities even if the start has some.
    append
        Continue the run that wrote `output`, if the file exists: from its last complete structure,
        with its step and time, until the total time is `time`. Constraints and masses are those of
        `start`; charge, spin and field are those of the trajectory. NVE continues up to rounding
        errors. Random numbers differ from those of an uninterrupted run, but are reproducible; the
        barostat is reset.
    max_extrapolating
        Stop if a larger fraction of the atoms extrapolates in a row of the table; 1 never stops.
    max_spread
        eV/Å; stop if the uncertainty of the force on an atom is larger: the norm of the vector of
        standard deviations of an ensemble, or of a calibrated potential, whose draws multiply the
        computing time. Checked in each step.
    write
        Outputs of the model, such as `dipole`, to add to the structures of the trajectory. They
        are computed for these structures only.
    field
        External electric field in V/Å, three numbers; by default that of the start or of the run
        that is continued, `atoms.info["field"]`, or none.
    engine, device
        As for `Calculator`.

    quiet
        Print nothing.

    Returns
    -------
    Trajectory
        Temperature, energy and more of each step, with `.table()` and `.plot()`.

    Raises
    ------
    UserError
        If an input cannot be used, or an output cannot be written or would replace an input.
    ExplosionError
        A `UserError`: energy or temperature diverge, an atom moves too far in a step, or the limits
        of extrapolation or uncertainty are exceeded.
    """
    check_ensemble(ensemble, pressure, friction)
    check_outputs({"--output": output}, [model] if append else [model, start])
    writer = TrajectoryWriter(output, append=append)
    first = start_of(start, output, append=append)
    settings = Dynamics(
        ensemble,
        temperature,
        time,
        time_step(first.atoms) if timestep is None else timestep,
        PRESSURE if pressure is None else pressure,
        FRICTION if friction is None else friction,
        interval,
        seed,
        max_extrapolating,
        max_spread,
        tuple(write),
    )
    settings.check()
    atoms = first.atoms
    uncertainty = max_spread is not None
    calculator = Calculator(model, engine=engine, device=device, uncertainty=uncertainty)
    calculator.potential.model.heads.require()
    _check_members(calculator, max_spread)
    check_outputs_of_model(calculator, write, output)
    calculator.potential.input_keys.rename(atoms, first.origin)
    if field is not None:
        set_field(atoms, field, calculator.potential.model)
    if relax_first and not first.continued:
        before = start if field is None else atoms
        atoms = relax(model, before, fmax=0.05, engine=engine, device=device, quiet=quiet).atoms
    atoms.calc = calculator
    rng = np.random.default_rng([seed, first.step])
    drawn = not first.continued and (new_velocities or not has_velocities(atoms))
    monitor = _prepared(atoms, calculator, first, settings, rng if drawn else None)
    steps = steps_of(monitor, settings, rng)
    members = len(calculator.potential.members) > 1
    table = GrowingTable(md_table.headings(ensemble, members=members), quiet=quiet)
    table.write(md_table.about_start(first, monitor, drawn=drawn))
    for change in md_table.changes(first, monitor):
        table.write(change)
    return propagate(steps, monitor, settings, writer, table)


def _prepared(
    atoms: ase.Atoms,
    calculator: Calculator,
    first: Start,
    settings: Dynamics,
    rng: np.random.Generator | None,
) -> Monitor:
    """Set the velocities, drawn with `rng` if given, and compute the first forces."""
    ensemble, temperature = settings.ensemble, settings.temperature
    if rng is not None:
        draw_velocities(atoms, temperature, rng, at_rest=ensemble == "nve")
    atoms.set_momenta(atoms.get_momenta())  # constraints fix atoms
    freedom = degrees_of_freedom(atoms, ensemble)
    with at_start(first.origin):  # errors that come later are explosions
        atoms.get_forces()
    return Monitor(
        atoms,
        calculator,
        freedom,
        settings.timestep,
        temperature,
        first_step=first.step,
        first_time=first.time,
        pressures=ensemble == "npt",
        max_spread=np.inf if settings.max_spread is None else settings.max_spread,
        dynamics=settings.described(),
    )


def _check_members(calculator: Calculator, max_spread: float | None) -> None:
    if max_spread is not None and len(calculator.potential.members) == 1:
        raise UserError(
            "A single potential that is not calibrated has no spread.",
            "--max-spread",
            "Calibrate it with `reann calibrate`, or give the file of an ensemble.",
        )
