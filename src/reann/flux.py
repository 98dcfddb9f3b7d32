"""The heat flux, for thermal conductivities by the Green-Kubo method.

J = d/dt sum_i r_i (E_i + m_i v_i^2 / 2), without the convective part:

    J = -sum_ij r_ij [ g_ij . v_j + sum_t (dE/dc_ij^(t)) . dc_j^(t)/dt ],     g_ij = dE/dr_ij

The second term is the energy that flows through the recursion: c_ij^(t) are the coefficients (and
directional messages) that i receives from j at iteration t, dc_j/dt is their change as all atoms
move. Each message from j to i transports energy over r_ij. Without this term, as obtained from
virials per atom, the flux of a potential with T >= 1 is completely wrong.
"""

from __future__ import annotations

from typing import NamedTuple

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from reann.backends import choice
from reann.backends.choice import Engine
from reann.data.neighbors import graph_from_atoms
from reann.device import memory_advice
from reann.elements import check_elements
from reann.errors import UserError
from reann.model.reann import without_inference
from reann.potential import Ensemble, Potential
from reann.torch_state import differentiable


class HeatFlux(NamedTuple):
    """Two parts of the heat flux, (3,) each, in eV Å per ASE's unit of time."""

    potential: NDArray[np.float64]
    """Flow of energy between atoms."""
    convective: NDArray[np.float64]
    """Energy transported by moving atoms, sum_i (E_i - e_Z + m_i v_i^2 / 2) v_i."""


@differentiable()
def heat_flux(
    potential: Potential | Ensemble, atoms: ase.Atoms, engine: Engine = "auto"
) -> HeatFlux:
    """Return the heat flux of atoms with velocities; for an ensemble, that of the mean.

    Atomic energies are relative to those of free atoms: constants do not contribute to the
    conductivity and would only add noise if elements move relative to each other.

    Parameters
    ----------
    engine
    `native`, `triton`, `torch`, or `auto`: the fastest one available.

    Raises
    ------
    UserError
        If the atoms have no velocities, or the potential or the backend does not support them.
    """
    if not atoms.has("momenta"):
        raise UserError(
            "The atoms have no velocities.", "heat_flux", "Set them: atoms.set_velocities(...)."
        )
    if potential.model.structure_terms:
        raise UserError(
            "There is no heat flux for energies of whole structures, which this potential has.",
            "heat_flux",
            "Use a potential without long_range and dispersion.",
        )
    check_elements(potential.model.elements, atoms.numbers)
    velocities = atoms.get_velocities()
    graph = graph_from_atoms(atoms, potential.cutoff, inputs=potential.input_keys)
    graph = graph.to(potential.device)
    if graph.field is not None and graph.field.any():
        raise UserError(
            "There is no heat flux in an electric field, which these atoms are in.",
            "heat_flux",
            "Remove `field` from `info`.",
        )
    v = torch.from_numpy(velocities).to(graph.positions)
    backend = choice.chosen(engine, (member.model for member in potential.members))
    with memory_advice(graph.n_atoms, graph.n_edges, "Use fewer atoms, or the CPU."):
        flows = [
            backend.heat_flux(without_inference(member.model), graph, v)
            for member in potential.members
        ]
    energies, flux = (
        torch.stack(values).mean(0).cpu().numpy() for values in zip(*flows, strict=True)
    )
    kinetic = 0.5 * atoms.get_masses() * (velocities**2).sum(1)
    return HeatFlux(flux, (energies + kinetic) @ velocities)
