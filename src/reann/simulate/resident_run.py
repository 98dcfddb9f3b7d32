"""Runs that stay on a GPU, with the table, trajectory and stops of ASE's dynamics.

The structure is transferred to the CPU only for rows of the table and structures of the
trajectory. There, one more evaluation by the calculator computes their other quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ase
import numpy as np
import torch

from reann.backends import choice
from reann.backends.protocol import Request
from reann.data.neighbors import Neighbors, graph_of
from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.motion.dynamics import make_dynamics
from reann.motion.lists import SkinPairs
from reann.motion.resident import BLOCK, Forces, Resident, integrator_of
from reann.motion.settings import Dynamics
from reann.simulate.monitor import LONGEST_STEP, ExplosionError, Monitor
from reann.simulate.schedule import Schedule
from reann.simulate.trajectory_file import TrajectoryWriter

SKIN = 2.0 * LONGEST_STEP
"""Skin, Å; the dynamics has exploded if an atom moves by half of it in one step."""
CAPTURED = 20_000
"""Maximum number of atoms for a CUDA graph; with more, kernels take longer than their start."""
REQUEST = Request.of(["energy", "forces"])


Steps = Callable[[Schedule, TrajectoryWriter], Iterator[int]]
"""Runs steps; yields the numbers of steps with output, or of all steps."""


def steps_of(monitor: Monitor, settings: Dynamics, rng: np.random.Generator) -> Steps:
    """Return the steps of the dynamics, on the GPU of the calculator if possible, else by ASE."""
    atoms, calculator = monitor.atoms, monitor.calculator
    if stays_on_device(calculator, atoms, settings):
        resident = resident_of(calculator, atoms, settings, rng)
        return lambda schedule, writer: resident_steps(monitor, resident, schedule, writer)
    dynamics = make_dynamics(atoms, settings, rng)
    dynamics.nsteps = monitor.first_step
    return lambda schedule, writer: monitor.steps(dynamics, schedule.n_steps, writer)


def stays_on_device(calculator: Calculator, atoms: ase.Atoms, settings: Dynamics) -> bool:
    """Return whether a run can stay on the GPU of its potential."""
    return (
        calculator.potential.device.type == "cuda"
        and settings.ensemble in ("nve", "langevin")
        and settings.max_spread is None
        and not atoms.constraints
    )


def resident_of(
    calculator: Calculator, atoms: ase.Atoms, settings: Dynamics, rng: np.random.Generator
) -> Resident:
    """Return the atoms on the device of a calculator."""
    potential, n = calculator.potential, len(atoms)
    empty = Neighbors(
        np.zeros(n + 1, dtype=np.int64),
        np.zeros(0, dtype=np.int32),
        np.zeros((0, 3)),
        np.zeros((0, 3), dtype=np.int32),
    )
    device = potential.device
    graph = graph_of(atoms, empty, potential.input_keys).to(device)
    fixed = calculator.backend is choice.TRITON
    pairs = SkinPairs(graph, potential.cutoff, SKIN, fixed=fixed)
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))

    def noise(steps: int) -> torch.Tensor:
        shape = steps, 2, n, 3
        return torch.randn(shape, generator=generator, device=device, dtype=torch.float64)

    integrator = integrator_of(
        settings.ensemble, settings.timestep, settings.temperature, settings.friction
    )
    resident = Resident(atoms, pairs, forces_of(calculator, pairs), integrator, noise)
    model = potential.model
    transfers = bool(model.inputs or model.structure_terms)
    if device.type == "cuda" and fixed and n <= CAPTURED and not transfers:
        resident.capture()
    return resident


def forces_of(calculator: Calculator, pairs: SkinPairs) -> Forces:
    """Return the function for energy and forces of a potential, or of the mean of an ensemble."""
    members = [calculator.backend.current(m.model) for m in calculator.potential.members]

    def compute() -> tuple[torch.Tensor, torch.Tensor]:
        results = [member.evaluate(pairs.graph, REQUEST) for member in members]
        energies, forces = ([x[name] for x in results] for name in ("energy", "forces"))
        return torch.stack(energies).mean(0)[0], torch.stack(forces).mean(0)

    return compute


def resident_steps(
    monitor: Monitor, resident: Resident, schedule: Schedule, writer: TrajectoryWriter
) -> Iterator[int]:
    """Run the dynamics; yield the steps with output, including the first.

    At these steps, the atoms of the monitor are updated. The structure at which the dynamics
    stops is written last.
    """
    atoms, begin, last = monitor.atoms, schedule.first, schedule.last
    kinetic = float(atoms.get_kinetic_energy())
    monitor.record_energies(begin, resident.energy, kinetic, resident.fastest)
    yield begin
    while begin < last:
        ends = (n for n in range(1, BLOCK) if schedule.has_output(begin + n))
        length = min(next(ends, BLOCK), last - begin)
        step = begin
        try:
            records = resident.advance(length)
            for step, values in enumerate(zip(*records, strict=True), begin + 1):
                monitor.record_energies(step, *values)
        except UserError as error:
            resident.repeat(step - begin)
            to_atoms(resident, atoms)
            writer.write(atoms, monitor.about(step))
            if isinstance(error, ExplosionError):
                raise
            raise monitor.explosion(step + 1, error.what) from error
        begin += length
        writer.confirm()
        if schedule.has_output(begin):
            to_atoms(resident, atoms)
            atoms.get_potential_energy()  # and the other quantities in the trajectory
            yield begin


def to_atoms(resident: Resident, atoms: ase.Atoms) -> None:
    """Transfer positions and momenta to the CPU."""
    atoms.positions = resident.positions.cpu().numpy()
    atoms.set_momenta((resident.masses * resident.velocities).cpu().numpy())
