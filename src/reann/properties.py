"""Energies to forces, virials and stress, through one derivative with respect to edge vectors.

With g_ij = dE/dr_ij: F_i = sum_j g_ij - sum_j g_ji, and W = sum_ij r_ij (x) g_ij = dE/d(strain).
stress = W / volume, virial = -W; an edge's part of the virial belongs to its neighbor. Terms of
whole structures are differentiated with respect to positions and strain instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from reann.errors import UserError, did_you_mean
from reann.graph import Graph
from reann.model.strained import Strained
from reann.model.terms import StructureTerm
from reann.quantities import BORN, BUILT_IN, is_per_atom
from reann.response import born_charges, responses, with_charges

NAMES = tuple(quantity.name for quantity in BUILT_IN)
"""What backends compute; units and meanings in `reann.quantities`."""
PROPERTIES = tuple(name for name in NAMES if name != "extrapolation")
"""What every potential gives: not all have recorded the range of their training."""

DERIVATIVES = frozenset(q.name for q in BUILT_IN if q.derivative_by is not None)

AtomicEnergies = Callable[[Graph, Float[Tensor, "edges 3"]], Float[Tensor, " atoms"]]


@runtime_checkable
class HasResponses(Protocol):
    """A model whose energy depends on the electric field of a graph."""

    @property
    def responses(self) -> tuple[str, ...]:
        """Names out of `reann.quantities.RESPONSES`; none if it does not depend on the field."""
        ...


@runtime_checkable
class HasStructureTerms(Protocol):
    """A model whose energy has parts that depend on more than neighbors."""

    @property
    def structure_terms(self) -> list[StructureTerm]:
        """What is added to the energies of its atoms."""
        ...


@runtime_checkable
class HasOutputs(Protocol):
    """A model that gives atoms other quantities, too."""

    def __call__(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, " atoms"]:
        """Return atomic energies."""
        ...

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the quantities besides the energy and its derivatives."""
        ...

    def of_atoms(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> dict[str, Tensor]:
        """Return energies and the other outputs of the atoms, (atoms, ...) each."""
        ...


def evaluate(
    model: AtomicEnergies, graph: Graph, names: Iterable[str], *, create_graph: bool = False
) -> dict[str, Tensor]:
    """Return the named properties of every system of a batch.

    Parameters
    ----------
    model
        Atomic energies (atoms,) from a graph and its edge vectors; other names need `HasOutputs`.
    names
        Out of `PROPERTIES`, and of the other outputs of the model. Shapes are those of
        `reann.quantities`, with the systems or atoms as first axis. Stress is NaN for systems that
        are not periodic in three dimensions.
    create_graph
        Keep what the derivative of the derivatives needs: with respect to parameters, and to
        positions and cells that require a gradient.
    """
    others = model.output_names if isinstance(model, HasOutputs) else ()
    wanted = wanted_of(names, (*PROPERTIES, *others))
    by_field = wanted.intersection(_responses_of(model))
    derivatives = bool(wanted & DERIVATIVES or by_field)
    of_head = BORN in wanted - by_field
    r = graph.edge_vectors()
    moved = create_graph and r.requires_grad
    if of_head:
        graph, r = _with_variable_positions(graph, are_variable=moved)
    elif not moved:
        r = r.detach().requires_grad_(derivatives)
    terms = _terms_of(model, wanted)
    strains = bool(wanted & {"stress", "virial"})
    strained = Strained.of(graph, derivatives=derivatives, strain=strains, is_variable=moved)
    fields = [graph.fields().detach().requires_grad_()] if by_field else []
    if fields:
        graph = replace(graph, field=fields[0])
    with torch.set_grad_enabled(derivatives or of_head or create_graph):
        of_atoms = _outputs(model, graph, r, wanted.union(*(term.needs for term in terms)))
        for term in terms:
            more = term.of_structures(graph, strained.positions, strained.cell, of_atoms)
            of_atoms["energies"] = of_atoms["energies"] + more
        found = added_up(graph, of_atoms)
    if of_head:
        found[BORN] = born_charges(
            found["dipole"], graph, graph.positions, create_graph=create_graph
        )
    if "energies" in of_atoms:
        found["energy"] = _of_systems(graph, of_atoms["energies"])
    if derivatives:
        beyond = [strained.moved, *([strained.strain] if strains else [])] if terms else []
        energies = of_atoms["energies"]
        g, *rest = torch.autograd.grad(
            energies,
            [r, *beyond, *fields],
            torch.ones_like(energies),
            create_graph=create_graph or bool(by_field - {"dipole"}),
            materialize_grads=True,
        )
        found |= _derived(graph, r if moved else r.detach(), g, rest[: len(beyond)], wanted)
        for slope in rest[len(beyond) :]:
            found |= responses(-slope, graph, r, by_field, create_graph=create_graph)
    if _responses_of(model):
        found = with_charges(graph, found)
    kept = {name: found[name] for name in (*PROPERTIES, *others) if name in wanted}
    return kept if create_graph else {name: value.detach() for name, value in kept.items()}


def _with_variable_positions(graph: Graph, *, are_variable: bool) -> tuple[Graph, Tensor]:
    """Return a graph whose edge vectors can be differentiated by its positions, and these."""
    if not are_variable:
        graph = replace(graph, positions=graph.positions.detach().requires_grad_())
    with torch.enable_grad():
        return graph, graph.edge_vectors()


def _responses_of(model: object) -> tuple[str, ...]:
    return model.responses if isinstance(model, HasResponses) else ()


def _outputs(model: AtomicEnergies, graph: Graph, r: Tensor, wanted: set[str]) -> dict[str, Tensor]:
    """Return the outputs of the atoms: all of them if another than the energies is wanted."""
    found: dict[str, Tensor] = {}
    if isinstance(model, HasOutputs) and wanted.intersection(model.output_names):
        found = model.of_atoms(graph, r)
    if wanted.difference(found) and "energies" not in found:
        found["energies"] = model(graph, r)  # a model without energies says so
    return found


def added_up(graph: Graph, of_atoms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return quantities of systems as sums over their atoms, others as they are."""
    return {
        name: values if is_per_atom(name) else _of_systems(graph, values)
        for name, values in of_atoms.items()
    }


def _of_systems(graph: Graph, values: Float[Tensor, "atoms ..."]) -> Float[Tensor, "systems ..."]:
    zero = values.new_zeros(graph.n_systems, *values.shape[1:])
    return zero.index_add(0, graph.system, values)


def wanted_of(names: Iterable[str], known: Sequence[str] = PROPERTIES) -> set[str]:
    """Return the names as a set; `UserError` for one that is not a property."""
    wanted = set(names)
    for name in wanted.difference(known):
        raise UserError(
            f"'{name}' is not a property of a potential.{did_you_mean(name, known)}",
            fix=f"Ask for {', '.join(known)}.",
        )
    return wanted


def of_strain(graph: Graph, strain: Float[Tensor, "systems 3 3"]) -> dict[str, Tensor]:
    """Return stress and virial from W = dE/d(strain) in eV."""
    strain = 0.5 * (strain + strain.mT)
    periodic = graph.pbc.all(1)[:, None, None]
    volume = torch.where(graph.pbc.all(1), graph.volume, 1.0)[:, None, None]
    stress = torch.where(periodic, strain / volume, torch.nan)
    return {"stress": stress, "virial": -strain}


def _terms_of(model: object, wanted: set[str]) -> list[StructureTerm]:
    """Return the terms of whole structures that the wanted properties contain."""
    terms = model.structure_terms if isinstance(model, HasStructureTerms) else []
    if terms and "virials" in wanted:
        raise UserError(
            "The energy of this potential depends on whole structures, so that single atoms have"
            " no virials.",
            fix="Ask for `virial` or `stress`.",
        )
    return terms if wanted.intersection(NAMES) or wanted.intersection(_responses_of(model)) else []


def _derived(
    graph: Graph, r: Tensor, g: Tensor, beyond: Sequence[Tensor], wanted: set[str]
) -> dict[str, Tensor]:
    """Return derivatives from those with respect to edge vectors, and to positions and strain."""
    center, neighbor = graph.center, graph.neighbor
    found = {}
    if "forces" in wanted:
        on_atoms = g.new_zeros(graph.n_atoms, 3)
        found["forces"] = on_atoms.index_add(0, center, g).index_add(0, neighbor, -g)
        if beyond:
            found["forces"] = found["forces"] - beyond[0]
    if wanted & {"stress", "virial", "virials"}:
        outer = r[:, :, None] * g[:, None, :]
        strain = g.new_zeros(graph.n_systems, 3, 3).index_add(0, graph.system[center], outer)
        found |= of_strain(graph, strain + beyond[1] if len(beyond) > 1 else strain)
        found["virials"] = -g.new_zeros(graph.n_atoms, 3, 3).index_add(0, neighbor, outer)
    return found
