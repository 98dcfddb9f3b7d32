"""Molecular dynamics that stays on a device: NVE, and Langevin dynamics as in ASE.

Steps are taken in blocks without transfers from the device. At the end of a block, one transfer
returns the energies of the steps and the largest displacement since the neighbor list was built.
If an atom has moved by half of the skin, the block is repeated from its beginning with a new list
and the same random numbers. Therefore no result depends on a list with missing neighbors.

    v += c1 f/m - c2 v + n_v,   x += dt v + n_x,   f = -dU/dx,   v += c1 f/m - c2 v + n_v

with c1 = dt/2 - dt^2 g/8, c2 = dt g/2 - dt^2 g^2/8 and random n of the friction g: Vanden-Eijnden
and Ciccotti, Chem. Phys. Lett. 429, 310 (2006); g = 0 is velocity Verlet.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import ase
import torch
from ase import units
from jaxtyping import Float
from torch import Tensor

from reann.errors import UserError
from reann.motion.lists import SkinPairs

BLOCK = 32
"""Maximum number of steps of a block."""
PREDICTED = 1.2
"""Safety factor of the largest speed, from which the length of a block is predicted."""

Forces = Callable[[], tuple[Float[Tensor, ""], Float[Tensor, "atoms 3"]]]
"""Computes energy in eV and forces in eV/Å at the present positions."""
Noise = Callable[[int], Float[Tensor, "steps 2 atoms 3"]]
"""Draws the standard normal numbers xi and eta for several steps."""


@dataclass(frozen=True)
class Integrator:
    """Constants of a step, in the units of ASE.

    Attributes
    ----------
    timestep, friction, temperature
        ASE's units of time, their inverse, and eV.
    """

    timestep: float
    friction: float = 0.0
    temperature: float = 0.0

    @property
    def of_forces(self) -> float:
        """The constant c1."""
        dt = self.timestep
        return dt / 2.0 - dt * dt * self.friction / 8.0

    @property
    def of_velocities(self) -> float:
        """The constant c2."""
        dt, g = self.timestep, self.friction
        return dt * g / 2.0 - dt * dt * g * g / 8.0

    def noise(
        self, masses: Tensor, drawn: Float[Tensor, "2 atoms 3"]
    ) -> tuple[Float[Tensor, "atoms 3"], Float[Tensor, "atoms 3"]]:
        """Return n_v and n_x of a step."""
        dt, g = self.timestep, self.friction
        sigma = (2.0 * self.temperature * g / masses).sqrt()
        xi, eta = drawn
        n_x = dt**1.5 / (2.0 * math.sqrt(3.0)) * sigma * eta
        n_v = (math.sqrt(dt) / 2.0 - dt**1.5 * g / 8.0) * sigma * xi - g / 2.0 * n_x
        return n_v, n_x


class Records(NamedTuple):
    """Results of steps, on the CPU."""

    energy: list[float]
    """Potential energy, eV."""
    kinetic: list[float]
    """eV."""
    fastest: list[float]
    """Largest speed of an atom, in ASE's units."""


class Resident:
    """Atoms on a device, and the steps that move them.

    The addresses of all tensors are fixed, so that a captured step can be replayed.

    Attributes
    ----------
    positions, velocities, forces
        (atoms, 3), float64, in the units of ASE.
    """

    def __init__(
        self,
        atoms: ase.Atoms,
        pairs: SkinPairs,
        forces: Forces,
        integrator: Integrator,
        noise: Noise,
    ) -> None:
        """Start with the structure whose positions are in `pairs`, and compute its forces."""
        self.pairs, self.compute, self.integrator = pairs, forces, integrator
        self.positions, self.draw = pairs.positions, noise
        device = self.positions.device

        def on_device(array: object) -> Tensor:
            return torch.tensor(array, dtype=torch.float64, device=device)

        self.masses = on_device(atoms.get_masses())[:, None]
        self.velocities = on_device(atoms.get_velocities())
        self.records = on_device([[0.0] * 3] * BLOCK)
        self.step_of_block = torch.zeros(1, dtype=torch.int64, device=device)
        n = len(atoms)
        self.noise = self.records.new_zeros(BLOCK if integrator.friction else 0, 2, n, 3)
        energy, forces_now = self.compute()
        self.forces = forces_now.clone()
        self.farthest, self.fastest = 0.0, float(self._fastest())
        self.energy = float(energy)
        self._run_step: Callable[[], None] = self.step
        self._is_captured = False

    def step(self) -> None:
        """Take a step, without transfers from the device."""
        integrator, dt = self.integrator, self.integrator.timestep
        n_v = n_x = None
        if integrator.friction:
            drawn = self.noise.index_select(0, self.step_of_block)[0]
            n_v, n_x = integrator.noise(self.masses, drawn)
        self._kick(n_v)
        self.positions.add_(self.velocities, alpha=dt)
        if n_x is not None:
            self.positions.add_(n_x)
        self.pairs.look()
        energy, forces = self.compute()
        self.forces.copy_(forces)
        self._kick(n_v)
        kinetic = 0.5 * (self.masses * self.velocities.square()).sum()
        row = torch.stack([energy, kinetic, self._fastest()])
        self.records.index_copy_(0, self.step_of_block, row[None])
        self.step_of_block.add_(1)

    def advance(self, n_steps: int) -> Records:
        """Take at most `BLOCK` steps and return their results."""
        if self.integrator.friction:
            self.noise[:n_steps].copy_(self.draw(n_steps))
        self._begun = [x.clone() for x in self._state]
        done, is_new = 0, False
        length = self._predicted(n_steps)
        if length < min(n_steps, self._predicted(n_steps, moved=0.0)) / 4:
            self.rebuild()
            is_new, length = True, self._predicted(n_steps, moved=0.0)
        while done < n_steps:
            length = min(length, n_steps - done)
            before = [x.clone() for x in self._state]
            self.steps(done, length)
            if self._ended_well(done + length):
                done, is_new = done + length, False
                length = self._predicted(n_steps)
                continue
            self._restore(before)
            if not is_new:
                self.rebuild()
                is_new = True
            elif length > 1:
                length = -(-length // 2)
            else:
                raise UserError(
                    f"An atom moves farther than {0.5 * self.pairs.skin:.2g} Å within one step.",
                    fix="Relax the structure first, or use a shorter time step.",
                )
        columns = self._read[:n_steps]
        return Records(*(list(x) for x in zip(*columns, strict=True)))

    def steps(self, done: int, length: int) -> None:
        """Take further steps of a block."""
        self.step_of_block.fill_(done)
        for _ in range(length):
            self._run_step()

    def repeat(self, n_steps: int) -> None:
        """Return to the beginning of the last block, and repeat its first steps."""
        self._restore(self._begun)
        self.rebuild()
        self.steps(0, n_steps)

    def capture(self) -> None:
        """Capture a step as a CUDA graph, so that a GPU needs one command for it.

        The forces must not need transfers from the device, and the list must be fixed. If a step
        cannot be captured, a warning states the reason, and kernels are started one by one.
        """
        before, records = [x.clone() for x in self._state], self.records.clone()
        self.step_of_block.zero_()
        try:
            self._run_step, self._is_captured = captured(self.step), True
        except RuntimeError as error:
            self._run_step, self._is_captured = self.step, False
            reason = str(error).partition("\n")[0]
            warnings.warn(f"A step is not captured as a CUDA graph: {reason}", stacklevel=2)
        self._restore(before)
        self.records.copy_(records)

    def rebuild(self) -> None:
        """Build a new neighbor list."""
        self.pairs.build()
        self.farthest = 0.0
        if self._is_captured and self.pairs.moved_in_memory:
            self.capture()

    @property
    def _state(self) -> tuple[Tensor, ...]:
        return self.positions, self.velocities, self.forces, self.pairs.farthest

    def _restore(self, before: list[Tensor]) -> None:
        for tensor, value in zip(self._state, before, strict=True):
            tensor.copy_(value)

    def _kick(self, n_v: Tensor | None) -> None:
        integrator = self.integrator
        change = integrator.of_forces * self.forces / self.masses
        if n_v is not None:
            change = change - integrator.of_velocities * self.velocities + n_v
        self.velocities.add_(change)

    def _fastest(self) -> Float[Tensor, ""]:
        return self.velocities.square().sum(1).amax().sqrt()

    def _ended_well(self, done: int) -> bool:
        """Transfer the results of the steps; return whether the list was valid for all of them."""
        read = torch.cat([self.pairs.farthest.sqrt()[None], self.records[:done].flatten()]).tolist()
        if not read[0] < 0.5 * self.pairs.skin and not math.isnan(read[0]):
            return False
        self.farthest, numbers = read[0], read[1:]
        self._read = [tuple(numbers[i : i + 3]) for i in range(0, len(numbers), 3)]
        self.fastest = self._read[-1][2]
        return True

    def _predicted(self, most: int, moved: float | None = None) -> int:
        """Return the predicted number of steps in which no atom moves by half of the skin."""
        rest = 0.5 * self.pairs.skin - (self.farthest if moved is None else moved)
        per_step = PREDICTED * self.fastest * self.integrator.timestep
        if not math.isfinite(per_step) or per_step * most < rest:
            return most
        return max(1, int(rest / per_step))


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """Return a function that replays a step as a CUDA graph; the step is taken once before."""
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        step()
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def integrator_of(
    ensemble: str, timestep: float, temperature: float, friction: float
) -> Integrator:
    """Return the constants of `nve` or `langevin`, from fs, K and 1/fs."""
    if ensemble == "nve":
        return Integrator(timestep * units.fs)
    return Integrator(timestep * units.fs, friction / units.fs, units.kB * temperature)
