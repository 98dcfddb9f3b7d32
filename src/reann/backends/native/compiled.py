"""A model that the native engine evaluates: its own, or one that it shares and never changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reann.backends.native.function import Computed, Differentiable, compute
from reann.backends.native.outputs import born_charges, quantities, values_of
from reann.backends.native.weights import Values, arrays_of, new_model, snapshot
from reann.backends.native.whole import compute_whole, with_constants
from reann.backends.protocol import Request
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.native.system import arguments
from reann.properties import NAMES, of_strain
from reann.quantities import BORN
from reann.response import with_charges


class Compiled:
    """A model of the native engine.

    Attributes
    ----------
    model
        That of the extension.
    source
        The model whose parameters get gradients.
    n_updates
        How often its weights have changed.
    values
        What makes the values of the heads, without gradients, once it was needed.
    """

    def __init__(self, source: Reann, *, shared: bool = False) -> None:
        self.source, self.shared, self.n_updates = source, shared, 0
        kept = snapshot(source) if shared else None
        self.model: Any = new_model(source) if kept is None else kept.model
        self.values: Values | None = None if kept is None else kept.values

    def update(self, model: Reann) -> None:
        """Take over weights, in place; a shared model stays as it is for the others."""
        if self.shared:
            self.model, self.shared = new_model(model), False
        else:
            self.model.update(arrays_of(model))
        self.source, self.values = model, None
        self.n_updates += 1

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties; see `reann.properties.evaluate`."""
        names = request.names
        self.source.heads.of(graph)
        system = arguments(graph, self.source.element_index, kept=request.create_graph)
        by_field = names.intersection(self.source.responses)
        wanted = {name for name in ("forces", "virials", "extrapolation") if name in names}
        wanted |= {"strain"} if names & {"stress", "virial"} else set()
        wanted |= {"outputs"} if names.intersection(self.source.output_heads) else set()
        wanted |= by_field
        knows_field = bool(self.source.responses) and graph.field is not None
        field = graph.fields().detach().numpy().copy() if knows_field else None
        try:
            if request.create_graph:
                parameters = dict(self.source.named_parameters())
                of_atoms = Computed(
                    *Differentiable.apply(
                        self, (system, field), wanted, list(parameters), *parameters.values()
                    )  # pyright: ignore[reportGeneralTypeIssues]
                )
                of_atoms = with_constants(of_atoms, self.source, graph)
            elif self.source.structure_terms:
                of_atoms = compute_whole(self.model, self.source, graph, system, wanted)
            else:
                of_atoms = compute(self.model, system, wanted, field)
        except (ValueError, RuntimeError) as error:
            raise refused(error) from error
        energies = of_atoms.energies
        energy = energies.new_zeros(graph.n_systems).index_add(0, graph.system, energies)
        found = {"energy": energy} | of_atoms._asdict()
        if of_atoms.strain is not None:
            found |= of_strain(graph, of_atoms.strain)
        if of_atoms.outputs is not None:
            found |= self._quantities(graph, system.element, of_atoms.outputs, request)
        if BORN in names - by_field:
            found[BORN] = born_charges(self.source, graph, self.model)
        if self.source.responses:
            found = with_charges(graph, found)
        return {name: found[name] for name in (*NAMES, *self.source.output_names) if name in names}

    def _quantities(
        self, graph: Graph, element: NDArray[np.int32], outputs: Tensor, request: Request
    ) -> dict[str, Tensor]:
        """Return what the heads make of the outputs of the engine."""
        if request.create_graph:
            return quantities(self.source, graph, element, outputs)
        with torch.no_grad():
            self.values = self.values or values_of(self.source)
            return quantities(self.source, graph, element, outputs, self.values)


def refused(error: Exception) -> UserError:
    """Return what the C++ found wrong with a structure as an error of the user."""
    return UserError(f"{error}", "native engine", "Remove or repair this structure.")
