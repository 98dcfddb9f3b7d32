"""A model that the kernels evaluate, with the weights that it has at the moment."""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.backends.protocol import Request
from reann.backends.triton.memory import LARGE, Needs, check, needs
from reann.backends.triton.neighbor_sums import Place, neighbor_sums
from reann.backends.triton.pair_terms import pair_summand, tables_of
from reann.backends.triton.recursions import EquivariantForm, form_of
from reann.backends.triton.rows import Rows
from reann.graph import Graph
from reann.model import Reann
from reann.model.inputs import numbers_of
from reann.model.representation import Features
from reann.properties import DERIVATIVES, NAMES, added_up, of_strain


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
        """Take another model of the same form, or new weights of the same one."""
        self.source = model
        self.form = form_of(model)
        self.pairs = pair_summand(model)
        self._frozen: Compiled | None = None
        self._needs: dict[Request, Needs] = {}

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties; see `reann.properties.evaluate`.

        Raises
        ------
        UserError
            For a graph that does not fit into the memory of the GPU.
        """
        if graph.n_atoms >= LARGE and graph.positions.device.type == "cuda":
            check(self.needs(request), graph)
        trained = any(p.requires_grad for p in self.source.parameters())
        if trained and not request.create_graph:
            return self.without_gradients().computed(graph, request)
        return self.computed(graph, request)

    def needs(self, request: Request) -> Needs:
        """Return how much memory a request needs."""
        if request not in self._needs:
            self._needs[request] = needs(self.source, request, _evaluated)
        return self._needs[request]

    def without_gradients(self) -> Compiled:
        """Return the model with the same weights, of which PyTorch keeps nothing for gradients."""
        of_source = [x.data_ptr() for x in self.source.parameters()]
        known = self._frozen
        if known is None or [x.data_ptr() for x in known.source.parameters()] != of_source:
            known = self._frozen = Compiled(frozen(self.source))
        return known

    def computed(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties of a graph that fits."""
        names, model = request.names, self.source
        place = self._place(graph)
        derivatives = bool(names & DERIVATIVES)
        place.positions.requires_grad_(derivatives)
        place.strains.requires_grad_(derivatives)
        with torch.set_grad_enabled(derivatives or request.create_graph):
            pairs = tables_of(model)
            found, x = self._of_rows(place, pairs)
            energies = found["energies"]
            own = {name: found[name].index_select(0, place.rows.rank) for name in found}
            of_atoms = own | model.placed(own, graph, model.element_index[graph.atomic_numbers])
            found = added_up(graph, of_atoms) | {"energy": of_systems(graph, own["energies"])}
        if derivatives:
            found |= self._slopes(place, energies, names, create_graph=request.create_graph)
        if "extrapolation" in names:
            distance = model.outside(x.detach(), place.rows.element)
            found["extrapolation"] = distance[place.rows.rank]
        kept = {n: found[n] for n in (*NAMES, *model.output_names) if n in names}
        return kept if request.create_graph else {n: x.detach() for n, x in kept.items()}

    def _place(self, graph: Graph) -> Place:
        model = self.source
        element, composition = model.element_index[graph.atomic_numbers], graph.sizes.composition
        counts = [composition.get(number, 0) for number in model.elements]
        head, names = model.heads.of(graph), model.config.inputs
        inputs = numbers_of(graph, names)[graph.system] if names else None
        rows = Rows.of(graph, element, counts, head=head, inputs=inputs)
        positions = graph.positions.detach().clone()
        return Place(rows, positions, positions.new_zeros(len(positions), 3, 3))

    def _of_rows(
        self, place: Place, pairs: Tensor | None
    ) -> tuple[dict[str, Tensor], Float[Tensor, "atoms features"]]:
        """Return the outputs of the atoms in the order of the elements, and their features."""
        model, rows, atoms = self.source, place.rows, place.rows.as_atoms
        with torch.set_grad_enabled(pairs is not None and torch.is_grad_enabled()):
            nothing = place.positions.new_empty(0, rows.n_atoms, 1)
            of_pairs = neighbor_sums(self.pairs, place, nothing, None, pairs)
        n_neighbors, pair_energies = of_pairs[:, :, 0]
        x, states = self.form(place, None if model.repulsion is None else pairs)
        if isinstance(self.form, EquivariantForm) and rows.inputs is None:
            free = self.form.of_free_atoms(place)
            features = Features(n_neighbors > 0, x, free, rows.element, states)
        else:
            features = model.recursion.features(x, atoms)
        if rows.inputs is not None:
            features = features._replace(is_embedded=n_neighbors > 0, states=states)
        found = {name: head(features, atoms) for name, head in model.output_heads.items()}
        if len(model.heads):
            found["energies"] = model.heads(features, atoms) + pair_energies
        return found, x

    def _slopes(
        self, place: Place, energies: Tensor, names: frozenset[str], *, create_graph: bool
    ) -> dict[str, Tensor]:
        """Return forces, and what follows from derivatives with respect to the strain."""
        wanted, graph = place.wanted, place.rows.graph
        wanted.parameters = False
        by_positions, by_strains = torch.autograd.grad(
            energies.sum(),
            (place.positions, place.strains),
            create_graph=create_graph,
            materialize_grads=True,
        )
        # What a loss differentiates later are the parameters alone.
        wanted.geometry, wanted.parameters = False, True
        found = {"forces": -by_positions, "virials": -by_strains}
        if names & {"stress", "virial"}:
            found |= of_strain(graph, of_systems(graph, by_strains))
        return found


def _evaluated(model: Reann, graph: Graph, request: Request) -> dict[str, Tensor]:
    return Compiled(model).evaluate(graph, request)


def frozen(model: Reann) -> Reann:
    """Return a model that shares all weights with another one, and does not train them."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()
    }
    return copy.deepcopy(model, memo | {id(b): b for b in model.buffers()})


def of_systems(graph: Graph, values: Float[Tensor, "atoms ..."]) -> Float[Tensor, "systems ..."]:
    """Return the sums over the atoms of each system, always in the same order."""
    ends = torch.arange(graph.n_systems + 1, device=values.device)
    sizes = torch.searchsorted(graph.system, ends).diff()
    flat = values.flatten(1) if values.dim() > 1 else values[:, None]
    sums = torch.segment_reduce(flat, "sum", lengths=sizes, axis=0, unsafe=True, initial=0.0)
    return sums.view(graph.n_systems, *values.shape[1:])
