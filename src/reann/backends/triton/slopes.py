"""Derivatives of the energy that kernels compute: by positions, strains and the electric field.

Energies beyond the cutoff are functions of whole structures. PyTorch differentiates them with
respect to separate positions and strains, and with respect to the charges that kernels have
computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reann.backends.triton.neighbor_sums import Needed, Place
from reann.graph import Graph
from reann.model import Reann
from reann.model.strained import Strained
from reann.properties import DERIVATIVES, PROPERTIES, of_strain
from reann.quantities import BORN
from reann.response import born_charges, slopes_of_dipoles


class Variables(NamedTuple):
    """Variables with respect to which an evaluation is differentiated.

    Attributes
    ----------
    graph
        Graph of the caller; for responses to a field, its field is a variable.
    derivatives
        Whether derivatives are requested.
    strained
        Positions and cells of energies beyond the cutoff; None without such energies.
    by_field
        Requested responses to the electric field.
    """

    graph: Graph
    derivatives: bool
    strained: Strained | None
    by_field: frozenset[str]

    @classmethod
    def of(cls, model: Reann, graph: Graph, names: frozenset[str]) -> Variables:
        """Return the variables of some quantities of a model."""
        by_field = names.intersection(model.responses)
        derivatives = bool(names & DERIVATIVES or by_field)
        if by_field:
            graph = graph.with_values(field=graph.fields().detach().requires_grad_())
        strained = None
        if model.structure_terms and (names & set(PROPERTIES) or by_field):
            strain = bool(names & {"stress", "virial"})
            strained = Strained.of(graph, derivatives=derivatives, strain=strain, is_variable=False)
        return cls(graph, derivatives, strained, by_field)

    def beyond(self, model: Reann, of_atoms: Mapping[str, Tensor]) -> Tensor | None:
        """Return the energies beyond the cutoff, in the order of the graph; None without them."""
        if self.strained is None:
            return None
        _, _, positions, cell = self.strained
        terms = model.structure_terms
        return sum(
            (term.of_structures(self.graph, positions, cell, of_atoms) for term in terms[1:]),
            start=terms[0].of_structures(self.graph, positions, cell, of_atoms),
        )


def energy_slopes(
    variables: Variables,
    place: Place,
    energies: Float[Tensor, " atoms"],
    names: frozenset[str],
    *,
    create_graph: bool,
) -> dict[str, Tensor]:
    """Return forces, virials, stress and responses to a field.

    `energies` are in any order.
    """
    needed, graph, strained = place.needed, variables.graph, variables.strained
    again_by_field = variables.by_field - {"dipole"}
    variables_of_energy: list[Tensor] = [place.positions, place.strains]
    if strained is not None:
        variables_of_energy += [x for x in (strained.moved, strained.strain) if x.requires_grad]
    if variables.by_field:
        variables_of_energy.append(graph.fields())
    slopes = differentiated(
        needed, energies, variables_of_energy, create_graph=create_graph or bool(again_by_field)
    )
    by_positions, by_strains, *others = slopes
    results = {"forces": -by_positions, "virials": -by_strains}
    by_strain = systems_sum(graph, by_strains)
    if strained is not None:
        results["forces"] = results["forces"] - others[0]
        if strained.strain.requires_grad:
            by_strain = by_strain + others[1]
    if names & {"stress", "virial"}:
        results |= of_strain(graph, by_strain)
    if variables.by_field:
        results["dipole"] = -others[-1]
    if again_by_field:
        needed.geometry, needed.parameters = BORN in variables.by_field, False
        moved = [place.positions, *([] if strained is None else [strained.moved])]
        results |= slopes_of_dipoles(
            results["dipole"],
            graph.fields(),
            moved if needed.geometry else [],
            create_graph=create_graph,
        )
    # A loss differentiates only with respect to parameters.
    needed.geometry, needed.parameters = False, True
    return results


def born_of_head(
    place: Place, graph: Graph, mu: Float[Tensor, "systems 3"], *, create_graph: bool
) -> Float[Tensor, "atoms 3 3"]:
    """Return the Born effective charges, e, of the dipoles of a head."""
    place.needed.geometry, place.needed.parameters = True, False
    born = born_charges(mu, graph, place.positions, create_graph=create_graph)
    place.needed.geometry, place.needed.parameters = False, True
    return born


def differentiated(
    needed: Needed, values: Tensor, variables: list[Tensor], *, create_graph: bool
) -> tuple[Tensor, ...]:
    """Return the derivatives of a sum of values; kernels skip those by parameters."""
    needed.geometry, needed.parameters = True, False
    return torch.autograd.grad(
        values.sum(),
        variables,
        create_graph=create_graph,
        retain_graph=True,
        materialize_grads=True,
    )


def systems_sum(graph: Graph, values: Float[Tensor, "atoms ..."]) -> Float[Tensor, "systems ..."]:
    """Return the sums over the atoms of each system, always in the same order."""
    ends = torch.arange(graph.n_systems + 1, device=values.device)
    sizes = torch.searchsorted(graph.system, ends).diff()
    flat = values.flatten(1) if values.dim() > 1 else values[:, None]
    sums = torch.segment_reduce(flat, "sum", lengths=sizes, axis=0, unsafe=True, initial=0.0)
    return sums.view(graph.n_systems, *values.shape[1:])
