"""A model that the kernels evaluate, with the weights that it has at the moment."""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.backends.protocol import Request
from reann.backends.triton.energy_flow import energy_flow
from reann.backends.triton.memory import LARGE, Needs, check, needs
from reann.backends.triton.neighbor_sums import Place, neighbor_sums
from reann.backends.triton.pair_terms import pair_summand, tables_of
from reann.backends.triton.recursions import EquivariantForm, form_of
from reann.backends.triton.rows import Rows
from reann.backends.triton.slopes import (
    Variables,
    born_of_head,
    differentiated,
    energy_slopes,
    systems_sum,
)
from reann.graph import Graph
from reann.model import Reann
from reann.model.feature_heads import NeighborDipole, Polarizability
from reann.model.inputs import numbers_of
from reann.model.representation import Features
from reann.properties import NAMES, added_up
from reann.quantities import BORN
from reann.response import with_charges


class Compiled:
    """A model of the Triton engine.

    Attributes
    ----------
    source
        The model, whose parameters get gradients.
    """

    def __init__(self, source: Reann) -> None:
        self.update(source)

    def update(self, model: Reann) -> None:
        """Use another model of the same form, or new weights of the model."""
        self.source = model
        self.form = form_of(model)
        self.pairs = pair_summand(model)
        heads = model.output_heads.items()
        self.differentiating = {n: head for n, head in heads if isinstance(head, Polarizability)}
        self._frozen: Compiled | None = None
        self._needs: dict[Request, Needs] = {}

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties; see `reann.properties.evaluate`.

        Raises
        ------
        UserError
            For a graph that does not fit into the memory of the GPU.
        """
        on_gpu = graph.positions.device.type == "cuda"
        if graph.n_atoms >= LARGE and on_gpu and self.has_known_needs:
            check(self.needs(request), graph)
        trained = any(p.requires_grad for p in self.source.parameters())
        if trained and not request.create_graph:
            return self.without_gradients().computed(graph, request)
        return self.computed(graph, request)

    @property
    def has_known_needs(self) -> bool:
        """Whether the memory of an evaluation is known before it; it may depend on values."""
        return not self.source.structure_terms and not self.source.config.inputs

    def needs(self, request: Request) -> Needs:
        """Return the memory that a request needs."""
        if request not in self._needs:
            self._needs[request] = needs(self.source, request, _evaluated)
        return self._needs[request]

    def without_gradients(self) -> Compiled:
        """Return the model with the same weights, but without gradients of parameters."""
        of_source = [x.data_ptr() for x in self.source.parameters()]
        known = self._frozen
        if known is None or [x.data_ptr() for x in known.source.parameters()] != of_source:
            known = self._frozen = Compiled(frozen(self.source))
        return known

    def computed(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties of a graph that fits into the memory."""
        names, model, kept = request.names, self.source, request.create_graph
        variables = Variables.of(model, graph, names)
        # Born effective charges are slopes of the dipoles of a head, or of those by a field.
        of_head = BORN in names - variables.by_field
        thrice = kept and bool(variables.by_field - {"dipole"})
        place = self._place(variables.graph, to_third_order=thrice)
        graph = variables.graph
        if of_head:
            graph = graph.with_values(positions=place.positions)
        heads = of_head or variables.strained is not None
        heads = heads or bool(names.intersection(model.output_heads))
        differentiates = variables.derivatives or of_head
        differentiates = differentiates or (heads and bool(self.differentiating))
        place.positions.requires_grad_(differentiates)
        place.strains.requires_grad_(variables.derivatives)
        with torch.set_grad_enabled(differentiates or kept):
            of_rows, x = self._of_rows(place, tables_of(model), heads=heads)
            of_atoms = self._of_graph(of_rows, place, graph, create_graph=kept)
            if (beyond := variables.beyond(model, of_atoms)) is not None:
                of_atoms["energies"] = of_atoms["energies"] + beyond
            values = added_up(graph, of_atoms)
            if "energies" in values:
                values["energy"] = systems_sum(graph, values["energies"])
        if of_head:
            values[BORN] = born_of_head(place, graph, values["dipole"], create_graph=kept)
        if variables.derivatives:
            energies = values["energies"]
            values |= energy_slopes(variables, place, energies, names, create_graph=kept)
        if model.responses:
            values = with_charges(graph, values)
        if "extrapolation" in names:
            distance = model.outside(x.detach(), place.rows.element)
            values["extrapolation"] = distance[place.rows.rank]
        requested = {n: values[n] for n in (*NAMES, *model.output_names) if n in names}
        return requested if kept else {n: x.detach() for n, x in requested.items()}

    def heat_flux(
        self, graph: Graph, v: Float[Tensor, "atoms 3"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
        """Return the energies of the atoms relative to free atoms, eV, and the flux."""
        model = self.source
        place = self._place(graph, recorded=[])
        place.positions.requires_grad_()
        with torch.enable_grad():
            of_rows, _ = self._of_rows(place, tables_of(model), heads=False)
        free = model.reference_energies[place.rows.element]
        energies = (of_rows["energies"] - free).index_select(0, place.rows.rank)
        return energies.detach(), energy_flow(place, of_rows["energies"], v)

    def _of_graph(
        self, of_rows: dict[str, Tensor], place: Place, graph: Graph, *, create_graph: bool
    ) -> dict[str, Tensor]:
        """Return the outputs of the atoms in the order of the graph."""
        model = self.source
        values = {name: x.index_select(0, place.rows.rank) for name, x in of_rows.items()}
        if values.keys() <= {"energies"}:
            return values
        for name, head in self.differentiating.items():
            slopes = [
                differentiated(
                    place.needed, values[name][:, n], [place.positions], create_graph=create_graph
                )[0]
                for n in head.DIFFERENTIATED
            ]
            values[name] = head.with_slopes(values[name], slopes)
        place.needed.geometry, place.needed.parameters = bool(self.differentiating), True
        for name, head in model.output_heads.items():
            if isinstance(head, NeighborDipole):
                values[name] = head.of_edges(values[name], graph, graph.edge_vectors())
        return dict(model.placed(values, graph, model.element_index[graph.atomic_numbers]))

    def _place(self, graph: Graph, **options: Any) -> Place:
        model = self.source
        element, composition = model.element_index[graph.atomic_numbers], graph.sizes.composition
        counts = [composition.get(number, 0) for number in model.elements]
        head, names = model.heads.of(graph), model.config.inputs
        inputs = numbers_of(graph, names)[graph.system] if names else None
        field = graph.field if model.config.field else None
        field = None if field is None else field.index_select(0, graph.system)
        rows = Rows.of(graph, element, counts, head=head, inputs=inputs, field=field)
        positions = graph.positions.detach().clone()
        strains = positions.new_zeros(len(positions), 3, 3)
        return Place(rows, positions, strains, **options)

    def _of_rows(
        self, place: Place, pairs: Tensor | None, *, heads: bool
    ) -> tuple[dict[str, Tensor], Float[Tensor, "atoms features"]]:
        """Return the outputs of the atoms in the order of the elements, and their features.

        `heads` says whether the outputs of output heads are included.
        """
        model, rows, atoms = self.source, place.rows, place.rows.as_atoms
        with torch.set_grad_enabled(pairs is not None and torch.is_grad_enabled()):
            no_states = place.positions.new_empty(0, rows.n_atoms, 1)
            of_pairs = neighbor_sums(self.pairs, place, no_states, None, pairs)
        n_neighbors, pair_energies = of_pairs[:, :, 0]
        x, states = self.form(place, None if model.repulsion is None else pairs)
        if isinstance(self.form, EquivariantForm) and rows.inputs is None:
            free = self.form.of_free_atoms(place)
            features = Features(n_neighbors > 0, x, free, rows.element, states)
        else:
            features = model.recursion.features(x, atoms)
        if rows.inputs is not None:
            features = features._replace(is_embedded=n_neighbors > 0, states=states)
        if rows.field is not None and isinstance(self.form, EquivariantForm):
            # A field polarizes free atoms, too.
            features = features._replace(is_embedded=torch.ones_like(features.is_embedded))
        output_heads = model.output_heads.items() if heads else ()
        values = {name: head(features, atoms) for name, head in output_heads}
        if len(model.heads):
            values["energies"] = model.heads(features, atoms) + pair_energies
        return values, x


def _evaluated(model: Reann, graph: Graph, request: Request) -> dict[str, Tensor]:
    return Compiled(model).evaluate(graph, request)


def frozen(model: Reann) -> Reann:
    """Return a model that shares all weights with another model, without gradients."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()
    }
    return copy.deepcopy(model, memo | {id(b): b for b in model.buffers()})
