"""Short molecular dynamics through ASE, with a table and a clear stop when it explodes."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass, field
from pathlib import Path

import ase
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from reann.engines.ase import Calculator
from reann.engines.files import Trail, at_start, read_start, time_step
from reann.engines.relax import relax
from reann.engines.table import GrowingTable
from reann.engines.watch import Watch
from reann.errors import UserError, counted, did_you_mean
from reann.potential import Ensemble, Potential

ENSEMBLES = ("langevin", "nve", "npt")
BAROSTAT_TIME = 1000.0
"""fs, of the fluctuations of the volume."""
N_ROWS, N_FRAMES = 20, 500


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
    drift: float = field(init=False)
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
    pressure: float = 1.0,
    friction: float = 0.01,
    output: str | Path | None = None,
    interval: int | None = None,
    seed: int = 1,
    relax_first: bool = False,
    max_extrapolating: float = 1.0,
    engine: str = "auto",
    device: str | None = None,
    quiet: bool = False,
) -> Trajectory:
    """Run molecular dynamics; constraints hold, and the given structure stays as it is.

    Velocities are drawn from the Maxwell-Boltzmann distribution. Langevin dynamics thermalizes
    all degrees of freedom, those of the center of mass too; NVE starts with the center of mass
    at rest. NPT is Langevin dynamics with a stochastic barostat that scales the cell alike in all
    directions (Quigley and Probert, J. Chem. Phys. 120, 11432 (2004)).

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
        bar, for npt.
    friction
        1/fs, for langevin and npt.
    output
        Trajectory to write: `.xyz`, `.extxyz` or `.traj`.
    interval
        Steps between structures written; by default about 500 structures.
    relax_first
        Relax the positions before, to 0.05 eV/Å.
    max_extrapolating
        Stop when more than this fraction of the atoms extrapolates; 1 never stops.
    engine, device
        As for `Calculator`.

    Raises
    ------
    UserError
        For input that cannot be used.
    ExplosionError
        A `UserError`, when energy or temperature run away or atoms jump.
    """
    _check(ensemble, temperature, time, timestep, friction)
    atoms, origin = read_start(start)
    if relax_first:
        atoms = relax(model, start, fmax=0.05, engine=engine, device=device, quiet=quiet).atoms
    calculator = Calculator(model, engine=engine, device=device)
    atoms.calc = calculator
    timestep = timestep or time_step(atoms)
    n_steps = max(1, round(time / timestep))
    rng = np.random.default_rng(seed)
    freedom = degrees_of_freedom(atoms, ensemble)
    draw_velocities(atoms, temperature, rng, at_rest=ensemble == "nve")

    with at_start(origin):  # errors that come later are explosions
        atoms.get_forces()
    dynamics = make_dynamics(
        atoms,
        ensemble=ensemble,
        timestep=timestep,
        temperature=temperature,
        pressure=pressure,
        friction=friction,
        rng=rng,
    )
    watch = Watch(atoms, calculator, freedom, timestep, temperature)
    row_every, frame_every = max(1, n_steps // N_ROWS), interval or max(1, n_steps // N_FRAMES)
    change = "drift" if ensemble == "nve" else "energy"
    headings = ("time ps", "T K", f"{change} meV/atom", "extrap. %", "steps/s", "ns/day", "µs/atom")
    table = GrowingTable(headings, quiet=quiet)
    most = float("nan")
    with Trail(output) as trail, table:
        begun = before = clock.perf_counter()
        last = 0
        for _ in watch.steps(dynamics, n_steps, trail):
            step = dynamics.nsteps
            if step % frame_every == 0:
                trail.write(atoms)
            if step % row_every == 0 or step == n_steps:
                outside, now = calculator.fraction_extrapolating(), clock.perf_counter()
                most = float(np.fmax(most, outside))
                speed = (step - last) / (now - before) if step else float("nan")
                table.add(watch.row(step, outside, speed))
                before, last = now, step
                if outside > max_extrapolating:
                    raise watch.explosion(step, f"{outside:.0%} of the atoms extrapolate")
    took = clock.perf_counter() - begun
    done = Trajectory(
        atoms,
        timestep,
        np.array(watch.temperature),
        np.array(watch.total_energy),
        most,
        n_steps / took,
    )
    slope = f", drift {done.drift:.4f} meV/atom/ps" if ensemble == "nve" else ""
    table.say(
        f"{n_steps * timestep * 1e-3:g} ps in {took:.1f} s:"
        f" mean temperature {done.temperature.mean():.0f} K{slope}."
    )
    return done


def make_dynamics(
    atoms: ase.Atoms,
    *,
    ensemble: str,
    timestep: float,
    temperature: float,
    pressure: float,
    friction: float,
    rng: np.random.Generator,
) -> MolecularDynamics:
    """Return ASE's integrator; units as in `run_md`."""
    step = timestep * units.fs
    if ensemble == "nve":
        return VelocityVerlet(atoms, step)
    if ensemble == "langevin":
        # Removing the motion of the center of mass would not sample NVT exactly.
        return Langevin(
            atoms,
            step,
            temperature_K=temperature,
            friction=friction / units.fs,
            fixcm=False,
            rng=rng,
        )
    if not atoms.pbc.all():
        raise UserError(
            "Constant pressure needs a cell that is periodic in three dimensions.",
            f"pbc is {atoms.pbc.tolist()}",
            "Use langevin, or set pbc and the cell.",
        )
    if atoms.constraints:
        raise UserError(
            "Constraints do not go with constant pressure: scaling the cell moves all atoms.",
            counted(len(atoms.constraints), "constraint"),
            "Use langevin, or remove the constraints.",
        )
    if temperature == 0 or friction == 0:
        raise UserError("npt needs a temperature and a friction.", fix="Give both, or use nve.")
    from ase.md.langevinbaoab import LangevinBAOAB  # not in early versions that else work

    # ASE's own estimate of a mass, which it gives only with a warning.
    mass = (BAROSTAT_TIME / 4 / 1.66) ** 2 * len(atoms) ** (1 / 3)
    return LangevinBAOAB(
        atoms,
        step,
        temperature_K=temperature,
        externalstress=-pressure * units.bar,
        hydrostatic=True,
        T_tau=units.fs / friction,
        P_tau=BAROSTAT_TIME * units.fs,
        P_mass=mass,
        rng=rng,
    )


def degrees_of_freedom(atoms: ase.Atoms, ensemble: str) -> int:
    """Return how many momenta carry kinetic energy, constraints and a resting center counted."""
    freedom = int(atoms.get_number_of_degrees_of_freedom())
    if ensemble == "nve" and _center_is_conserved(atoms):
        freedom -= 3
    if freedom <= 0:
        raise UserError("No atom can move.", "constraints of the start", "Free some atoms.")
    return freedom


def draw_velocities(
    atoms: ase.Atoms, temperature: float, rng: np.random.Generator, *, at_rest: bool = False
) -> None:
    """Draw momenta from the Maxwell-Boltzmann distribution, under the constraints.

    `at_rest` takes the momentum of the center of mass away, where it is conserved.
    """
    masses = atoms.get_masses()[:, None]
    momenta = rng.standard_normal((len(atoms), 3)) * np.sqrt(masses * units.kB * temperature)
    if at_rest and _center_is_conserved(atoms):
        momenta -= masses * momenta.sum(axis=0) / masses.sum()
    atoms.set_momenta(momenta)


def drift(total_energy: NDArray[np.float64], timestep: float, n_atoms: int) -> float:
    """Return the slope of a linear fit of the total energy (eV, each step), in meV/atom/ps."""
    if len(total_energy) < 2:
        return 0.0
    times = np.arange(len(total_energy)) * timestep * 1e-3
    slope = np.polyfit(times, total_energy - total_energy[0], 1)[0]
    return float(1e3 * slope / n_atoms)


def _center_is_conserved(atoms: ase.Atoms) -> bool:
    return len(atoms) > 1 and not atoms.constraints


def _check(
    ensemble: str, temperature: float, time: float, timestep: float | None, friction: float
) -> None:
    if ensemble not in ENSEMBLES:
        raise UserError(
            f"'{ensemble}' is not an ensemble.{did_you_mean(ensemble, ENSEMBLES)}",
            fix=f"Use one of {', '.join(ENSEMBLES)}.",
        )
    limits = {"temperature": (temperature, 0.0), "friction": (friction, 0.0)}
    for name, (value, lowest) in limits.items():
        if not lowest <= value < float("inf"):
            raise UserError(f"The {name} is {value}.", "run_md", "Give zero or more.")
    for name, value in {"time": time, "timestep": timestep}.items():
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"The {name} is {value} fs.", "run_md", "Give more than zero.")
