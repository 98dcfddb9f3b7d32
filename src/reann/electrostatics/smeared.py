"""Energies of smeared charges in structures of any kind.

Two charges at the distance r interact by

    q_i q_j / (4 pi eps_0) * erf(r / (sqrt(2) sigma)) / r,

the interaction of Gaussians of the width sigma / sqrt(2). It is q_i q_j / (4 pi eps_0 r) at
distances of a few sigma, and finite at r = 0. No charge acts on itself, so that a lone atom has no
energy; periodic images of an atom do act on it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from reann.electrostatics.direct import direct_potentials
from reann.electrostatics.ewald import ewald_potentials, weights_of
from reann.electrostatics.mesh import Mesh, Slopes
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
    weights: dict[bytes, Tensor] = {}  # of equal cells, such as those of a trajectory, once
    for system in torch.nonzero(full)[:, 0].tolist():
        atoms = torch.nonzero(graph.system == system)[:, 0]
        G = None
        if not cell.requires_grad:
            key = cell[system].cpu().numpy().tobytes()
            G = weights[key] = weights[key] if key in weights else weights_of(cell[system], sigma)
        of_system = ewald_potentials(q[atoms], positions[atoms], cell[system], sigma, G)
        potentials = potentials.index_put((atoms,), of_system)
    return potentials


def smeared_slopes(q: Float[Tensor, " atoms"], graph: Graph, sigma: float) -> Slopes:
    """Return the same energies, of periodic systems by a mesh, and the derivatives of their sum.

    They have no gradients; errors as `smeared_energies`. Strains are those of each system.
    """
    full, q = periodic(graph), q.detach()
    with torch.enable_grad():
        leaf, moved = q.clone().requires_grad_(), graph.positions.detach().clone().requires_grad_()
        energies = 0.5 * leaf * direct_potentials(leaf, moved, graph, ~full, sigma)
        slopes = torch.autograd.grad(energies.sum(), (leaf, moved), materialize_grads=True)
    energies, (by_charge, by_position) = energies.detach(), slopes
    outer = graph.positions.detach()[:, :, None] * by_position[:, None]
    by_strain = torch.zeros_like(graph.cell).index_add(0, graph.system, outer)
    for system in torch.nonzero(full)[:, 0].tolist():
        atoms = torch.nonzero(graph.system == system)[:, 0]
        mesh = Mesh(graph.positions[atoms].detach(), graph.cell[system], sigma)
        of_system = mesh.slopes(q[atoms])
        energies[atoms], by_charge[atoms], by_position[atoms] = of_system[:3]
        by_strain[system] = of_system.by_strain
    return Slopes(energies, by_charge, by_position, by_strain)


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
