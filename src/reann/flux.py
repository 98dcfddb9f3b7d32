"""The heat flux, for thermal conductivities by Green and Kubo.

J = d/dt sum_i r_i (E_i + m_i v_i^2 / 2), without the energies that atoms carry along:

    J = -sum_ij r_ij [ g_ij . v_j + sum_t (dE/dc_ij^(t)) . dc_j^(t)/dt ],     g_ij = dE/dr_ij

The second term is the energy that flows through the recursion: c_ij^(t) are the coefficients (and
directional messages) of j as i reads them at iteration t, dc_j/dt their change as all atoms move.
Each passage from j to i carries its energy over r_ij. Without it, which is what virials per atom
give, the flux of a potential with T >= 1 is wrong by most of its size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import ase
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from reann.data.neighbors import graph_from_atoms
from reann.device import memory_advice
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.model.neighborhood import Neighborhood
from reann.model.reann import without_inference
from reann.native import choice
from reann.native import engine as native_engine
from reann.potential import Ensemble, Potential, check_elements
from reann.torch_state import differentiable


class HeatFlux(NamedTuple):
    """Two parts of the heat flux, (3,) each, in eV Å per ASE's unit of time."""

    potential: NDArray[np.float64]
    """What flows from atom to atom."""
    convective: NDArray[np.float64]
    """Atoms that carry their energies along, sum_i (E_i - e_Z + m_i v_i^2 / 2) v_i."""


@dataclass(frozen=True, eq=False)
class Recording(Neighborhood):
    """A neighborhood that remembers what atoms have read of their neighbors."""

    read: list[Tensor] = field(default_factory=list)

    def of_neighbors(self, values: Float[Tensor, "atoms ..."]) -> Float[Tensor, "atoms slots ..."]:
        """Return the values of the neighbors of every atom."""
        self.read.append(super().of_neighbors(values))
        return self.read[-1]


@differentiable()
def heat_flux(potential: Potential | Ensemble, atoms: ase.Atoms, engine: str = "auto") -> HeatFlux:
    """Return the heat flux of atoms that have velocities, of an ensemble that of its mean.

    Energies of atoms count from those of free atoms: what is constant does not conduct, and would
    only add noise where elements move against each other.

    Parameters
    ----------
    engine
        `native`, `torch`, or `auto`: the native engine where it can.

    Raises
    ------
    UserError
        If the atoms have no velocities, the potential cannot describe them, or the engine cannot.
    """
    if not atoms.has("momenta"):
        raise UserError(
            "The atoms have no velocities.", "heat_flux", "Set them: atoms.set_velocities(...)."
        )
    check_elements(potential, atoms)
    velocities = atoms.get_velocities()
    graph = graph_from_atoms(atoms, potential.cutoff).to(potential.device)
    v = torch.from_numpy(velocities).to(graph.positions)
    native = choice.chosen(engine, (member.model for member in potential.members)) == "native"
    flows_of = native_engine.heat_flux if native else _flows
    with memory_advice(graph.n_atoms, graph.n_edges, "Take fewer atoms, or the CPU."):
        flows = [
            flows_of(without_inference(member.model), graph, v) for member in potential.members
        ]
    energies, flux = (torch.stack(each).mean(0).cpu().numpy() for each in zip(*flows, strict=True))
    kinetic = 0.5 * atoms.get_masses() * (velocities**2).sum(1)
    return HeatFlux(flux, (energies + kinetic) @ velocities)


def _flows(
    model: Reann, graph: Graph, v: Float[Tensor, "atoms 3"]
) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
    """Return the energies of the atoms above those of free atoms, and the flux."""
    hood = model.neighborhood(graph, graph.edge_vectors())
    v = torch.empty_like(v).index_copy(0, hood.rank, v)
    v_j = hood.of_neighbors(v)
    with torch.enable_grad():
        r = hood.vector.detach().requires_grad_()
        recorded = Recording(hood.element, hood.counts, hood.rank, hood.neighbor, r)
        energies = model.energies(recorded)
        # A host may read several times, before and in a recursion; c^(0) does not change.
        read = [x for x in recorded.read if _depends(x, r)]
        g, *through = torch.autograd.grad(
            energies.sum(), [r, *read], retain_graph=True, materialize_grads=True
        )
    power = (g * v_j).sum(-1)
    for slope, rate in zip(through, _rates(read, r, v_j - v[:, None]), strict=True):
        power = power + (slope * rate).flatten(2).sum(-1)
    free = model.reference_energies[model.element_index[graph.atomic_numbers]]
    return (energies - free).detach(), -(r.detach() * power[..., None]).sum((0, 1))


def _rates(read: list[Tensor], r: Tensor, velocity: Tensor) -> tuple[Tensor, ...]:
    """Return how fast what was read changes: a derivative forward, by two derivatives backward."""
    if not read:
        return ()
    weights = [torch.zeros_like(x, requires_grad=True) for x in read]
    (pulled,) = torch.autograd.grad(read, r, weights, create_graph=True)
    return torch.autograd.grad(pulled, weights, velocity)


def _depends(value: Tensor, variable: Tensor) -> bool:
    """Return whether PyTorch computed a value from a variable, a leaf."""
    reached, waiting = set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in reached:
            continue
        if getattr(node, "variable", None) is variable:
            return True
        reached.add(node)
        waiting += [before for before, _ in node.next_functions]
    return False
