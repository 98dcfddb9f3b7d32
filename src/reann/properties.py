"""Forces, virials and stress, from one derivative of the energy with respect to edge vectors.

With g_ij = dE/dr_ij: F_i = sum_j g_ij - sum_j g_ji, and W = sum_ij r_ij (x) g_ij = dE/d(strain).
stress = W / volume, virial = -W; the virial of an edge is assigned to its neighbor. Structure terms
are differentiated with respect to positions and strain instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
"""Properties that backends compute; units and definitions are in `reann.quantities`."""
PROPERTIES = tuple(name for name in NAMES if name != "extrapolation")
"""Properties of all potentials; extrapolation needs a recorded training range."""

DERIVATIVES = frozenset(q.name for q in BUILT_IN if q.derivative_by is not None)

AtomicEnergies = Callable[[Graph, Float[Tensor, "edges 3"]], Float[Tensor, " atoms"]]


@runtime_checkable
class HasResponses(Protocol):
    """A model whose energy depends on the electric field of a graph."""

    @property
    def responses(self) -> tuple[str, ...]:
        """Names from `reann.quantities.RESPONSES`; empty without a dependence on the field."""
        ...


@runtime_checkable
class HasStructureTerms(Protocol):
    """A model whose energy has terms that depend on whole structures."""

    @property
    def structure_terms(self) -> list[StructureTerm]:
        """Terms that are added to the energies of the atoms."""
        ...


@runtime_checkable
class HasOutputs(Protocol):
    """A model that has other outputs besides the energies."""

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
    """Return the named properties of all systems of a batch.

    Parameters
    ----------
    model
        Atomic energies (atoms,) from a graph and its edge vectors; other names need `HasOutputs`.
    names
        Names from `PROPERTIES`, and other outputs of the model. Shapes are those of
        `reann.quantities`, with systems or atoms as the first axis. Stress is NaN for systems that
        are not periodic in three dimensions.
    create_graph
        Keep the graph for second derivatives: with respect to parameters, and to positions and
        cells that require a gradient.
    """
    others = model.output_names if isinstance(model, HasOutputs) else ()
    requested = requested_names(names, (*PROPERTIES, *others))
    by_field = requested.intersection(_responses_of(model))
    derivatives = bool(requested & DERIVATIVES or by_field)
    of_head = BORN in requested - by_field
    r = graph.edge_vectors()
    moved = create_graph and r.requires_grad
    if of_head:
        graph, r = _with_variable_positions(graph, are_variable=moved)
    elif not moved:
        r = r.detach().requires_grad_(derivatives)
    terms = _terms_of(model, requested)
    strains = bool(requested & {"stress", "virial"})
    strained = Strained.of(graph, derivatives=derivatives, strain=strains, is_variable=moved)
    fields = [graph.fields().detach().requires_grad_()] if by_field else []
    if fields:
        graph = graph.with_values(field=fields[0])
    with torch.set_grad_enabled(derivatives or of_head or create_graph):
        of_atoms = _outputs(model, graph, r, requested.union(*(term.needs for term in terms)))
        for term in terms:
            more = term.of_structures(graph, strained.positions, strained.cell, of_atoms)
            of_atoms["energies"] = of_atoms["energies"] + more
        results = added_up(graph, of_atoms)
    if of_head:
        results[BORN] = born_charges(
            results["dipole"], graph, graph.positions, create_graph=create_graph
        )
    if "energies" in of_atoms:
        results["energy"] = _of_systems(graph, of_atoms["energies"])
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
        results |= _derived(graph, r if moved else r.detach(), g, rest[: len(beyond)], requested)
        for slope in rest[len(beyond) :]:
            with torch.enable_grad():
                mu = -slope
            results |= responses(mu, graph, r, by_field, create_graph=create_graph)
    if _responses_of(model):
        results = with_charges(graph, results)
    kept = {name: results[name] for name in (*PROPERTIES, *others) if name in requested}
    return kept if create_graph else {name: value.detach() for name, value in kept.items()}


def _with_variable_positions(graph: Graph, *, are_variable: bool) -> tuple[Graph, Tensor]:
    """Return a graph whose edge vectors are functions of its positions, and the edge vectors."""
    if not are_variable:
        graph = graph.with_values(positions=graph.positions.detach().requires_grad_())
    with torch.enable_grad():
        return graph, graph.edge_vectors()


def _responses_of(model: object) -> tuple[str, ...]:
    return model.responses if isinstance(model, HasResponses) else ()


def _outputs(
    model: AtomicEnergies, graph: Graph, r: Tensor, requested: set[str]
) -> dict[str, Tensor]:
    """Return the outputs of the atoms: all outputs, or only the energies if these suffice."""
    results: dict[str, Tensor] = {}
    if isinstance(model, HasOutputs) and requested.intersection(model.output_names):
        results = model.of_atoms(graph, r)
    available = {*results, *([BORN] if "dipole" in results else [])}
    if requested.difference(available) and "energies" not in results:
        results["energies"] = model(graph, r)  # raises an error if the model has no energies
    return results


def added_up(graph: Graph, of_atoms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return per-system quantities as sums over atoms; others are unchanged."""
    return {
        name: values if is_per_atom(name) else _of_systems(graph, values)
        for name, values in of_atoms.items()
    }


def _of_systems(graph: Graph, values: Float[Tensor, "atoms ..."]) -> Float[Tensor, "systems ..."]:
    zero = values.new_zeros(graph.n_systems, *values.shape[1:])
    return zero.index_add(0, graph.system, values)


def requested_names(names: Iterable[str], known: Sequence[str] = PROPERTIES) -> set[str]:
    """Return the names as a set; `UserError` for unknown properties."""
    requested = set(names)
    for name in requested.difference(known):
        raise UserError(
            f"'{name}' is not a property of a potential.{did_you_mean(name, known)}",
            fix=f"Ask for {', '.join(known)}.",
        )
    return requested


def of_strain(graph: Graph, strain: Float[Tensor, "systems 3 3"]) -> dict[str, Tensor]:
    """Return stress and virial from W = dE/d(strain) in eV."""
    strain = 0.5 * (strain + strain.mT)
    periodic = graph.pbc.all(1)[:, None, None]
    volume = torch.where(graph.pbc.all(1), graph.volume, 1.0)[:, None, None]
    stress = torch.where(periodic, strain / volume, torch.nan)
    return {"stress": stress, "virial": -strain}


def _terms_of(model: object, requested: set[str]) -> list[StructureTerm]:
    """Return the structure terms that the requested properties include."""
    terms = model.structure_terms if isinstance(model, HasStructureTerms) else []
    if terms and "virials" in requested:
        raise UserError(
            "The energy of this potential has terms of whole structures, so virials of atoms are"
            " not defined.",
            fix="Ask for `virial` or `stress`.",
        )
    return (
        terms
        if requested.intersection(NAMES) or requested.intersection(_responses_of(model))
        else []
    )


def _derived(
    graph: Graph, r: Tensor, g: Tensor, beyond: Sequence[Tensor], requested: set[str]
) -> dict[str, Tensor]:
    """Return forces, stress and virials from the derivatives of the energy."""
    center, neighbor = graph.center, graph.neighbor
    results = {}
    if "forces" in requested:
        on_atoms = g.new_zeros(graph.n_atoms, 3)
        results["forces"] = on_atoms.index_add(0, center, g).index_add(0, neighbor, -g)
        if beyond:
            results["forces"] = results["forces"] - beyond[0]
    if requested & {"stress", "virial", "virials"}:
        outer = r[:, :, None] * g[:, None, :]
        strain = g.new_zeros(graph.n_systems, 3, 3).index_add(0, graph.system[center], outer)
        results |= of_strain(graph, strain + beyond[1] if len(beyond) > 1 else strain)
        results["virials"] = -g.new_zeros(graph.n_atoms, 3, 3).index_add(0, neighbor, outer)
    return results
