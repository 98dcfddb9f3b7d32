"""Short molecular dynamics through ASE, with a table and a clear stop when it explodes."""

from __future__ import annotations

import dataclasses
import time as clock
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from ase.md.md import MolecularDynamics
from numpy.typing import NDArray

from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.motion.dynamics import (
    check_ensemble,
    degrees_of_freedom,
    draw_velocities,
    has_velocities,
    make_dynamics,
)
from reann.motion.settings import Dynamics
from reann.motion.start import at_start, time_step
from reann.output_files import check_outputs
from reann.potential import Ensemble, Potential
from reann.simulate import md_table
from reann.simulate.continuation import Beginning, beginning
from reann.simulate.field import put_into_field
from reann.simulate.outputs import check_outputs_of_model, computed_outputs
from reann.simulate.relax import relax
from reann.simulate.table import GrowingTable
from reann.simulate.trail import Trail
from reann.simulate.watch import Watch

N_ROWS, N_FRAMES = 20, 500
PRESSURE, FRICTION = 1.0, 0.01
"""Defaults, bar and 1/fs."""


@dataclass(frozen=True)
class Trajectory:
    """What a run of molecular dynamics leaves; arrays have one entry per step, the start first."""

    atoms: ase.Atoms
    """The last structure, with velocities and calculator."""
    timestep: float
    """fs."""
    temperature: NDArray[np.float64]
    """K, by the degrees of freedom that can move."""
    total_energy: NDArray[np.float64]
    """Potential plus kinetic energy, eV."""
    extrapolating: float
    """Largest fraction of extrapolating atoms among the rows of the table; NaN if unknown."""
    steps_per_second: float
    pressure: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.empty(0))
    """bar, with the part of the velocities; npt only."""
    volume: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.empty(0))
    """Å^3; npt only."""
    drift: float = dataclasses.field(init=False)
    """Slope of a linear fit of the total energy, meV/atom/ps; an error only in NVE."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "drift", drift(self.total_energy, self.timestep, len(self.atoms)))


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
    """Run molecular dynamics; constraints hold, and the given structure stays as it is.

    Velocities are those of the start; where it has none, they are drawn from the Maxwell-Boltzmann
    distribution. Langevin dynamics thermalizes all degrees of freedom, those of the center of mass
    too; NVE with drawn velocities has the center of mass at rest. NPT is Langevin dynamics with a
    stochastic barostat that scales the cell alike in all directions (Quigley and Probert, J. Chem.
    Phys. 120, 11432 (2004)).

    Parameters
    ----------
    start
        A structure, or a file whose last structure is taken.
    temperature
        K.
    time, timestep
        fs; by default a step is 0.5 fs with hydrogen, else 1 fs.
    ensemble
        `langevin`, `nve` or `npt`.
    pressure
        bar, for npt alone; by default 1 bar.
    friction
        1/fs, for langevin and npt alone; by default 0.01 per fs.
    output
        Trajectory to write: `.xyz`, `.extxyz` or `.traj`. An existing one is replaced after the
        first step.
    interval
        Steps between structures written; by default about 500 structures.
    relax_first
        Relax the positions before, to 0.05 eV/Å; velocities are drawn then.
    new_velocities
        Draw velocities also for a start that has some.
    append
        Continue the run that wrote `output`, where there is one: from its last whole structure and
        with its step and time, until `time` is reached in all. `start` gives constraints and
        masses. NVE continues to rounding. Random numbers are others than without the break, the
        same in each repetition; the barostat starts anew.
    max_extrapolating
        Stop when more than this fraction of the atoms extrapolates, which the rows of the table
        tell; 1 never stops.
    max_spread
        eV/Å; stop when the uncertainty of the force on any atom is larger, by the length of the
        vector of standard deviations: of an ensemble, or of a calibrated potential, whose draws
        then take as many times longer. Every step is looked at.
    write
        Outputs of the model, such as `dipole`, that structures of the trajectory also have. They
        are computed for these structures only.
    field
        External electric field in V/Å, three numbers; by default that of the start,
        `atoms.info["field"]`, else none.
    engine, device
        As for `Calculator`.

    Raises
    ------
    UserError
        For input that cannot be used, and outputs that cannot be written or would replace an input.
    ExplosionError
        A `UserError`, when energy or temperature run away, atoms jump, or the run leaves what the
        potential knows.
    """
    check_ensemble(ensemble, pressure, friction)
    check_outputs({"--output": output}, [model] if append else [model, start])
    trail = Trail(output, append=append)
    first = beginning(start, output, append=append)
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
    if relax_first and not first.continued:
        atoms = relax(model, start, fmax=0.05, engine=engine, device=device, quiet=quiet).atoms
    uncertainty = max_spread is not None
    calculator = Calculator(model, engine=engine, device=device, uncertainty=uncertainty)
    calculator.potential.model.heads.require()
    _check_members(calculator, max_spread)
    check_outputs_of_model(calculator, write, output)
    if field is not None:
        put_into_field(atoms, field, calculator.potential.model)
    atoms.calc = calculator
    rng = np.random.default_rng([seed, first.step])
    drawn = not first.continued and (new_velocities or not has_velocities(atoms))
    watch = _prepared(atoms, calculator, first, settings, rng if drawn else None)
    dynamics = make_dynamics(atoms, settings, rng)
    dynamics.nsteps = first.step
    members = len(calculator.potential.members) > 1
    table = GrowingTable(md_table.headings(ensemble, members=members), quiet=quiet)
    table.write(md_table.about_start(first, watch, drawn=drawn))
    for change in md_table.changes(first, watch):
        table.write(change)
    return _ran(dynamics, watch, settings, trail, table)


def _prepared(
    atoms: ase.Atoms,
    calculator: Calculator,
    first: Beginning,
    settings: Dynamics,
    rng: np.random.Generator | None,
) -> Watch:
    """Give the atoms their velocities, drawn with `rng`, and the first forces; watch them."""
    ensemble, temperature = settings.ensemble, settings.temperature
    if rng is not None:
        draw_velocities(atoms, temperature, rng, at_rest=ensemble == "nve")
    atoms.set_momenta(atoms.get_momenta())  # what is fixed does not move
    freedom = degrees_of_freedom(atoms, ensemble)
    with at_start(first.origin):  # errors that come later are explosions
        atoms.get_forces()
    return Watch(
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


def _ran(
    dynamics: MolecularDynamics,
    watch: Watch,
    settings: Dynamics,
    trail: Trail,
    table: GrowingTable,
) -> Trajectory:
    """Run the dynamics until its time is over, and say what it has given."""
    time, timestep = settings.time, settings.timestep
    n_steps = max(0, round((time - watch.first_time) / timestep))
    interval = settings.interval or max(1, round(time / timestep) // N_FRAMES)
    with trail, table:
        begun = clock.perf_counter()
        plan = _Plan(n_steps, interval, settings.max_extrapolating, settings.write)
        most = _run(dynamics, watch, plan, trail, table)
        took = clock.perf_counter() - begun
    done = _trajectory(watch, most, n_steps / took)
    slope = f" Drift {done.drift:.4f} meV/atom/ps." if settings.ensemble == "nve" else ""
    table.write(f"{n_steps * timestep * 1e-3:g} ps in {took:.1f} s.{slope}")
    table.write(md_table.averages(watch))
    if n_steps == 0:
        table.write(f"All {1e-3 * time:g} ps were run before; --time allows no more.")
    table.write(md_table.about_output(trail.path, trail.n_written))
    return done


def drift(total_energy: NDArray[np.float64], timestep: float, n_atoms: int) -> float:
    """Return the slope of a linear fit of the total energy (eV, each step), in meV/atom/ps."""
    if len(total_energy) < 2:
        return 0.0
    times = np.arange(len(total_energy)) * timestep * 1e-3
    slope = np.polyfit(times, total_energy - total_energy[0], 1)[0]
    return float(1e3 * slope / n_atoms)


@dataclass(frozen=True)
class _Plan:
    n_steps: int
    frame_every: int
    max_extrapolating: float
    write: tuple[str, ...]


def _run(
    dynamics: MolecularDynamics, watch: Watch, plan: _Plan, trail: Trail, table: GrowingTable
) -> float:
    """Run all steps; return the largest fraction of extrapolating atoms that was noticed."""
    first, last = watch.first_step, watch.first_step + plan.n_steps
    row_every = max(1, plan.n_steps // N_ROWS)
    most, row_step, row_time = float("nan"), first, clock.perf_counter()
    for _ in watch.steps(dynamics, plan.n_steps, trail):
        step = dynamics.nsteps
        # The first structure of a continued run is in the trajectory already.
        if step % plan.frame_every == 0 and (step > first or first == 0):
            info, arrays = computed_outputs(watch.calculator, plan.write)
            trail.write(watch.atoms, watch.about(step) | info, arrays)
        if (step - first) % row_every == 0 or step == last:
            outside, now = watch.calculator.fraction_extrapolating(), clock.perf_counter()
            most = float(np.fmax(most, outside))
            speed = (step - row_step) / (now - row_time) if step > first else float("nan")
            table.add(md_table.row(watch, step, outside, speed))
            row_step, row_time = step, now
            if outside > plan.max_extrapolating:
                if step % plan.frame_every:
                    trail.write(watch.atoms, watch.about(step))
                raise watch.stop(step, f"{outside:.0%} of the atoms extrapolate")
    return most


def _trajectory(watch: Watch, extrapolating: float, steps_per_second: float) -> Trajectory:
    return Trajectory(
        watch.atoms,
        watch.timestep,
        np.array(watch.temperature),
        np.array(watch.total_energy),
        extrapolating,
        steps_per_second,
        np.array(watch.pressure),
        np.array(watch.volume),
    )


def _check_members(calculator: Calculator, max_spread: float | None) -> None:
    if max_spread is not None and len(calculator.potential.members) == 1:
        raise UserError(
            "A single potential that is not calibrated has no spread.",
            "--max-spread",
            "Calibrate it with `reann calibrate`, or give the file of an ensemble.",
        )
