"""A compiled model of the native engine: exclusive with updates, or shared and constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reann.backends.native.born import BornOfHead
from reann.backends.native.function import Computed, Differentiable, Field, compute
from reann.backends.native.numbers import Numbers
from reann.backends.native.outputs import born_charges, quantities
from reann.backends.native.trained_outputs import trained_quantities
from reann.backends.native.weights import arrays_of, new_model, snapshot
from reann.backends.native.whole import beyond, compute_whole, needs, plus
from reann.backends.native.whole_training import DifferentiableWhole
from reann.backends.protocol import Request
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.native.system import Arguments, arguments
from reann.properties import NAMES, of_strain
from reann.quantities import BORN
from reann.response import about_a_fixed_origin, with_charges


class Compiled:
    """A model of the native engine.

    Attributes
    ----------
    model
        Model of the extension.
    source
        The model whose parameters get gradients.
    n_updates
        Number of updates of the weights.
    numbers
        Function from rows to quantities without gradients, for common heads; created when first
        needed.
    """

    def __init__(self, source: Reann, *, shared: bool = False) -> None:
        self.source, self.shared, self.n_updates = source, shared, 0
        kept = snapshot(source) if shared else None
        self.model: Any = new_model(source) if kept is None else kept.model
        self.numbers: Numbers | None = None if kept is None else kept.numbers

    def update(self, model: Reann) -> None:
        """Copy weights in place; a shared model is not changed for others."""
        if self.shared:
            self.model, self.shared = new_model(model), False
        else:
            self.model.update(arrays_of(model))
        self.source, self.numbers = model, None
        self.n_updates += 1

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties; see `reann.properties.evaluate`."""
        names = request.names
        self.source.heads.of(graph)
        system = arguments(graph, self.source.element_index, kept=request.create_graph)
        by_field = names.intersection(self.source.responses)
        requested = {name for name in ("forces", "virials", "extrapolation") if name in names}
        requested |= {"strain"} if names & {"stress", "virial"} else set()
        requested |= {"outputs"} if names.intersection(self.source.of_heads) else set()
        requested |= by_field
        knows_field = bool(self.source.responses) and graph.field is not None
        field = graph.fields().detach().numpy().copy() if knows_field else None
        try:
            if request.create_graph:
                of_atoms = self._differentiable(graph, system, field, requested)
            elif self.source.structure_terms:
                of_atoms = compute_whole(self.model, self.source, graph, system, requested)
            else:
                of_atoms = compute(self.model, system, requested, field)
        except (ValueError, RuntimeError) as error:
            raise refused(error) from error
        energies = of_atoms.energies
        energy = energies.new_zeros(graph.n_systems).index_add(0, graph.system, energies)
        results = {"energy": energy} | of_atoms._asdict()
        if of_atoms.strain is not None:
            results |= of_strain(graph, of_atoms.strain)
        if of_atoms.outputs is not None and "outputs" in requested:
            results |= self._quantities(graph, system.element, of_atoms.outputs, request)
        if BORN in names - by_field:
            results[BORN] = self._born(graph, system, request)
        if self.source.responses:
            results = with_charges(graph, results)
        return {
            name: results[name] for name in (*NAMES, *self.source.output_names) if name in names
        }

    def _differentiable(
        self, graph: Graph, system: Arguments, field: Field, requested: set[str]
    ) -> Computed:
        """Return results with gradients with respect to the parameters."""
        parameters = dict(self.source.named_parameters())
        names, tensors = list(parameters), parameters.values()
        if needs(self.source):
            results = DifferentiableWhole.apply(self, (graph, system), requested, names, *tensors)
            return Computed(*results)  # pyright: ignore[reportGeneralTypeIssues]
        results = Differentiable.apply(self, (system, field), requested, names, *tensors)
        computed = Computed(*results)  # pyright: ignore[reportGeneralTypeIssues]
        if not self.source.structure_terms:
            return computed
        with torch.no_grad():
            constants = beyond(self.source, graph, system.element)
        return plus(computed, constants)

    def _born(self, graph: Graph, system: Arguments, request: Request) -> Tensor:
        """Return the Born effective charges of the dipole of a head."""
        if not request.create_graph:
            return born_charges(self.source, graph, self.model)
        parameters = dict(self.source.named_parameters())
        names, tensors = list(parameters), parameters.values()
        born = BornOfHead.apply(self, (graph, system), names, *tensors)
        return about_a_fixed_origin(born, graph)  # pyright: ignore[reportArgumentType]

    def _quantities(
        self, graph: Graph, element: NDArray[np.int32], outputs: Tensor, request: Request
    ) -> dict[str, Tensor]:
        """Return the quantities of the heads from the outputs of the engine."""
        if request.create_graph:
            return trained_quantities(self.source, graph, element, outputs, request.names)
        self.numbers = self.numbers or Numbers.of(self.source)
        if self.numbers is not None:
            return self.numbers.quantities(graph, element, outputs, request.names)
        with torch.no_grad():
            return quantities(self.source, graph, element, outputs)


def refused(error: Exception) -> UserError:
    """Return an error of the C++ engine about a structure as a `UserError`."""
    return UserError(f"{error}", "native engine", "Remove or repair this structure.")
