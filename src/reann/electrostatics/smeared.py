"""Energies of smeared charges in structures of any kind.

Two charges at the distance r interact by

    q_i q_j / (4 pi eps_0) * erf(r / (sqrt(2) sigma)) / r,

the interaction of Gaussians of the width sigma / sqrt(2). It is q_i q_j / (4 pi eps_0 r) at
distances of a few sigma, and finite at r = 0. No charge acts on itself, so that a lone atom has no
energy; periodic images of an atom do act on it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann.electrostatics.direct import Pairs, direct_potentials
from reann.electrostatics.ewald import weights_of
from reann.electrostatics.mesh import FINE, Mesh
from reann.electrostatics.slopes import Slopes
from reann.electrostatics.split import mean_of, split_potentials, width_of
from reann.errors import UserError
from reann.graph import Graph


def smeared_energies(
    q: Float[Tensor, " atoms"],
    positions: Float[Tensor, "atoms 3"],
    cell: Float[Tensor, "systems 3 3"],
    graph: Graph,
    sigma: float,
) -> Float[Tensor, " atoms"]:
    """Return the energies of the atoms in eV, half of each pair's; see `smeared_potentials`."""
    return 0.5 * q * smeared_potentials(q, positions, cell, graph, sigma)


def smeared_potentials(
    q: Float[Tensor, " atoms"],
    positions: Float[Tensor, "atoms 3"],
    cell: Float[Tensor, "systems 3 3"],
    graph: Graph,
    sigma: float,
) -> Float[Tensor, " atoms"]:
    """Return the potentials at the atoms in V, float64.

    Parameters
    ----------
    q
        Charges, e.
    positions, cell
        Those of the graph, or what derivatives are taken with respect to, Å.
    graph
        Says which atoms belong to which system, and along which directions it is periodic.
    sigma
        Å.

    Raises
    ------
    UserError
        For a system that is periodic in one or two directions only.
    """
    full = periodic(graph)
    potentials = direct_potentials(q, positions, graph, ~full, sigma)
    # Of equal cells, such as those of a trajectory, once.
    weights: dict[tuple[bytes, float], Tensor] = {}
    for system in torch.nonzero(full)[:, 0].tolist():
        atoms = torch.nonzero(graph.system == system)[:, 0]
        wide, G = width_of(cell[system], len(atoms), sigma), None
        if not cell.requires_grad:
            key = (cell[system].cpu().numpy().tobytes(), wide)
            G = weights[key] = weights[key] if key in weights else weights_of(cell[system], wide)
        of_system = split_potentials(q[atoms], positions[atoms], cell[system], sigma, wide, G=G)
        potentials = potentials.index_put((atoms,), of_system)
    return potentials


def smeared_slopes(q: Float[Tensor, " atoms"], graph: Graph, sigma: float) -> Slopes:
    """Return the same energies, of periodic systems by a mesh, and the derivatives of their sum.

    They have gradients with respect to the charges, computed from rates instead of second
    derivatives, and none with respect to positions and cells. Errors as `smeared_energies`;
    strains are those of each system.
    """
    return Slopes(*_Differentiable.apply(q, _Systems(graph, sigma)))  # pyright: ignore[reportGeneralTypeIssues]


class _Systems:
    """The interactions of all systems of a batch: pairs of molecules, meshes of crystals.

    A few charges in a large cell have both, see `split`.
    """

    def __init__(self, graph: Graph, sigma: float) -> None:
        full, sizes = periodic(graph), graph.atoms_per_system.tolist()
        ends = np.cumsum(sizes).tolist()
        self.meshes: list[tuple[int, slice, Mesh, Tensor]] = []
        wide = [math.inf] * graph.n_systems
        for system in torch.nonzero(full)[:, 0].tolist():
            atoms = slice(ends[system] - sizes[system], ends[system])
            positions, cell = graph.positions[atoms].detach(), graph.cell[system].detach()
            width = wide[system] = width_of(cell, sizes[system], sigma)
            mesh = Mesh(positions, cell, width, FINE)
            self.meshes.append((system, atoms, mesh, mean_of(cell, sigma, width)))
        self.n_systems = graph.n_systems
        with_pairs = graph.pbc.new_tensor([width != sigma for width in wide])
        self.pairs = Pairs(graph, with_pairs, sigma, wide) if with_pairs.any() else None

    def slopes(self, q: Float[Tensor, " atoms"]) -> Slopes:
        """Return the energies of charges and the derivatives of their sum.

        The field is that of the meshes, which `rates` needs.
        """
        if self.pairs is None:
            zero, vectors = torch.zeros_like(q), q.new_zeros(len(q), 3)
            strain = q.new_zeros(self.n_systems, 3, 3)
            total = Slopes(zero, zero.clone(), vectors, strain, vectors.clone())
        else:
            total = self.pairs.slopes(q)
            total.field.zero_()
        for system, atoms, mesh, mean in self.meshes:
            part, Q = mesh.slopes(q[atoms]), q[atoms].sum()
            total.energies[atoms] += part.energies - 0.5 * mean * Q * q[atoms]
            total.by_charge[atoms] += part.by_charge - mean * Q
            total.by_position[atoms] += part.by_position
            total.field[atoms] = part.field
            total.by_strain[system] += part.by_strain
            total.by_strain[system].diagonal().add_(0.5 * mean * Q.square())
        return total

    def rates(
        self,
        q: Float[Tensor, " atoms"],
        field: Float[Tensor, "atoms 3"],
        by_time: Float[Tensor, " atoms"],
        velocity: Float[Tensor, "atoms 3"],
        strain: Float[Tensor, "systems 3 3"],
    ) -> Float[Tensor, " atoms"]:
        """Return the rates of the potentials; see `Mesh.rates`."""
        total = torch.zeros_like(q)
        if self.pairs is not None:
            total += self.pairs.rates(q, by_time, velocity, strain)
        for system, a, mesh, mean in self.meshes:
            total[a] += mesh.rates(q[a], field[a], by_time[a], velocity[a], strain[system])
            total[a] -= mean * (by_time[a].sum() - strain[system].trace() * q[a].sum())
        return total


class _Differentiable(torch.autograd.Function):
    """`Slopes` of charges; the backward needs one calculation of rates.

    With U = q V q / 2, the gradient of by_position . v + by_strain : w is that of dU/dt along v and
    w, (dV/dt) q; that of by_charge . u is V u, and that of the energies e . (q V q / 2) of atoms
    (e V q + V (e q)) / 2.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, systems: _Systems) -> tuple[Tensor, ...]:
        """Return the fields of `Slopes`."""
        slopes = systems.slopes(q.detach())
        ctx.systems = systems
        ctx.save_for_backward(q, slopes.by_charge, slopes.field)
        ctx.mark_non_differentiable(slopes.field)
        return tuple(slopes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the charges."""
        of_energies, of_charges, velocity, strain, _ = gradients
        q, potentials, field = ctx.saved_tensors
        by_time = of_charges + 0.5 * of_energies * q
        rates = ctx.systems.rates(q, field, by_time, velocity, strain)
        return rates + 0.5 * of_energies * potentials, None


def periodic(graph: Graph) -> Bool[Tensor, " systems"]:
    """Return which systems are crystals; `UserError` for chains and slabs."""
    full = graph.pbc.all(1)
    if (graph.pbc.any(1) & ~full).any():
        raise UserError(
            "The energy of charges is computed for molecules and for structures that are periodic"
            " in three directions, and this one is periodic in one or two.",
            "pbc",
            "Make a slab periodic in three directions, with a vacuum of two times its thickness.",
        )
    return full
