"""Dipoles, polarizabilities and Born effective charges: derivatives of the energy in a field.

    mu = -dE/dF,   alpha = dmu/dF,   Z*_i = dmu/dr_i

F is the field, r_i a position, and (Z*_i)_ba = dmu_b / dr_ia, also of a dipole that a head gives.
The derivatives of mu are taken row by row, a row for each of its components; edge vectors
r_ij = r_j - r_i carry those with respect to positions.

The energy of a model depends on distances between atoms, so its Born charges add up to zero. For
a total charge Q, the energy -Q F.R is added, where R is the center of mass; the dipole then
refers to the center of mass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from reann.errors import UserError
from reann.graph import Graph
from reann.model.molecule import mass_fractions
from reann.quantities import BORN
from reann.units import COULOMB

Value = TypeVar("Value", Tensor, Tensor | None)


def responses(
    mu: Float[Tensor, "systems 3"],
    graph: Graph,
    r: Float[Tensor, "edges 3"],
    names: Collection[str],
    *,
    create_graph: bool = False,
) -> dict[str, Tensor]:
    """Return the dipole and its derivatives.

    Parameters
    ----------
    mu
        Dipoles in e Å; differentiable if derivatives are requested.
    graph
        Graph with the field on which they depend.
    r
        Edge vectors in Å on which they depend.
    names
        Out of `reann.quantities.RESPONSES`.
    create_graph
        Whether the results can be differentiated again.

    Returns
    -------
    dict
        The dipole and, if requested, the polarizability (systems, 3, 3) in Å^3 and Born effective
        charges (atoms, 3, 3) in e.
    """
    derived = {"dipole": mu}
    if {"polarizability", BORN}.isdisjoint(names):
        return derived
    by_field, by_edge = _by_row(mu, [graph.fields(), r], create_graph=create_graph)
    zero = r.new_zeros(graph.n_atoms, 3, 3)
    of_neighbors = zero.index_add(0, graph.neighbor, by_edge)
    return derived | {
        "polarizability": COULOMB * by_field,
        BORN: of_neighbors.index_add(0, graph.center, -by_edge),
    }


def slopes_of_dipoles(
    mu: Float[Tensor, "systems 3"],
    field: Float[Tensor, "systems 3"],
    positions: Sequence[Float[Tensor, "atoms 3"]],
    *,
    create_graph: bool,
) -> dict[str, Tensor]:
    """Return polarizabilities and Born effective charges of dipoles that depend on positions.

    The charges are the sum of what all of these positions give; none without positions.
    """
    by_field, *moved = _by_row(mu, [field, *positions], create_graph=create_graph)
    born = {BORN: torch.stack(moved).sum(0)} if moved else {}
    return {"polarizability": COULOMB * by_field} | born


def _by_row(
    mu: Float[Tensor, "systems 3"], variables: Sequence[Tensor], *, create_graph: bool
) -> list[Tensor]:
    """Return the derivatives of all components of mu, a row for each."""
    with torch.enable_grad():
        components = [component.sum() for component in mu.unbind(1)]
    slopes = [
        torch.autograd.grad(
            component,
            variables,
            create_graph=create_graph,
            retain_graph=True,
            materialize_grads=True,
        )
        for component in components
    ]
    return [torch.stack(each, dim=1) for each in zip(*slopes, strict=True)]


def born_charges(
    mu: Float[Tensor, "systems 3"],
    graph: Graph,
    positions: Float[Tensor, "atoms 3"],
    *,
    create_graph: bool = False,
) -> Float[Tensor, "atoms 3 3"]:
    """Return Born effective charges, e, from dipoles that depend on positions; rows are dipoles.

    The dipoles are those about the center of mass, the charges those of a fixed origin.
    """
    (born,) = _by_row(mu, [positions], create_graph=create_graph)
    return about_a_fixed_origin(born, graph)


def about_a_fixed_origin(
    born: Float[Tensor, "atoms 3 3"], graph: Graph
) -> Float[Tensor, "atoms 3 3"]:
    """Return Born charges of dipoles about a fixed origin from those about the center of mass.

    Their sum is then the total charge.
    """
    if graph.charge is None:
        return born
    Q = graph.charge[graph.system] * mass_fractions(graph)
    return born + Q[:, None, None] * torch.eye(3, dtype=born.dtype, device=born.device)


def with_charges(graph: Graph, properties: Mapping[str, Value]) -> dict[str, Value]:
    """Add the energy of total charges in a field to properties; atoms contribute by their masses.

    Raises
    ------
    UserError
        For a periodic structure with a charge in a field, whose energy is not defined.
    """
    if graph.charge is None or not graph.charge.any():
        return dict(properties)
    F, r = graph.fields(), graph.positions
    if (graph.pbc.any(1) & (graph.charge != 0) & F.any(1)).any():
        raise UserError(
            "The energy of a charged periodic structure in an electric field is not defined.",
            fix="Take the charge out of `info`, or the field.",
        )
    Q = graph.charge[graph.system] * mass_fractions(graph)
    forces = Q[:, None] * F[graph.system]
    energies = -(forces * r).sum(1)
    terms = {
        "energy": r.new_zeros(graph.n_systems).index_add(0, graph.system, energies),
        "energies": energies,
        "forces": forces,
        BORN: Q[:, None, None] * torch.eye(3, dtype=r.dtype, device=r.device),
    }
    return {k: x + terms[k] if x is not None and k in terms else x for k, x in properties.items()}
