"""Centers of mass, and positions of molecules relative to them, across periodic boundaries."""

from __future__ import annotations

from dataclasses import replace

import torch
from ase.data import atomic_masses
from jaxtyping import Float
from torch import Tensor

from reann.errors import UserError
from reann.graph import Graph

MASSES = torch.from_numpy(atomic_masses)
"""Masses by atomic number, u."""


def from_center(graph: Graph) -> Float[Tensor, "atoms 3"]:
    """Return positions relative to the center of mass of each system, Å.

    In periodic directions the image closest to the first atom of the system is used. Masses are
    the standard masses of the elements.

    Raises
    ------
    UserError
        For a periodic system that extends over half of its cell or more: it is then ambiguous which
        images form the molecule.
    """
    whole = replace(graph, positions=_whole(graph))
    return whole.positions - center_of_mass(whole)[graph.system]


def center_of_mass(graph: Graph) -> Float[Tensor, "systems 3"]:
    """Return the centers of mass, Å, with the masses of ASE."""
    weighted = mass_fractions(graph)[:, None] * graph.positions
    return weighted.new_zeros(graph.n_systems, 3).index_add(0, graph.system, weighted)


def mass_fractions(graph: Graph) -> Float[Tensor, " atoms"]:
    """Return the masses of the atoms as fractions of those of their systems, with masses of ASE."""
    mass = MASSES.to(graph.positions).index_select(0, graph.atomic_numbers)
    total = mass.new_zeros(graph.n_systems).index_add(0, graph.system, mass)
    return mass / total[graph.system]


def _whole(graph: Graph) -> Float[Tensor, "atoms 3"]:
    """Return positions relative to the first atom of each system, unwrapped."""
    ends = graph.atoms_per_system.cumsum(0)
    first = ends - graph.atoms_per_system
    r = graph.positions - graph.positions[first[graph.system]]
    if not graph.pbc.any():
        return r
    lattice = graph.cell * graph.pbc[:, :, None]
    with torch.no_grad():
        fractions = torch.einsum("ax,axl->al", r, torch.linalg.pinv(lattice)[graph.system])
        crossed = fractions.round()
        _require_molecules(fractions - crossed, graph)
    return r - torch.einsum("al,alx->ax", crossed, lattice[graph.system])


def _require_molecules(fractions: Float[Tensor, "atoms 3"], graph: Graph) -> None:
    """Raise `UserError` unless all systems are smaller than half of their cells."""
    index = graph.system[:, None].expand(-1, 3)
    start = fractions.new_zeros(graph.n_systems, 3)  # the first atom of each is at zero
    longest = start.scatter_reduce(0, index, fractions, "amax")
    longest = longest - start.scatter_reduce(0, index, fractions, "amin")
    if (longest >= 0.5).any():
        system = int((longest >= 0.5).any(1).nonzero()[0])
        raise UserError(
            "A structure extends over half of its periodic cell or more, so its center of mass as a"
            " molecule is ambiguous.",
            f"structure {system} of the batch, counted from 0",
            "Set pbc to False for a molecule, or give it a larger cell. For periodic structures"
            " train with equivariant messages.",
        )
