"""A model that the native engine evaluates: its own, or one that it shares and never changes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from reann.backends.native.function import Differentiable, compute
from reann.backends.native.weights import arrays_of, new_model, snapshot
from reann.backends.protocol import Request
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.native.system import arguments
from reann.properties import NAMES, of_strain


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
    """

    def __init__(self, source: Reann, *, shared: bool = False) -> None:
        self.source, self.shared, self.n_updates = source, shared, 0
        self.model: Any = snapshot(source).model if shared else new_model(source)

    def update(self, model: Reann) -> None:
        """Take over weights, in place; a shared model stays as it is for the others."""
        if self.shared:
            self.model, self.shared = new_model(model), False
        else:
            self.model.update(arrays_of(model))
        self.source = model
        self.n_updates += 1

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties; see `reann.properties.evaluate`."""
        names = request.names
        self.source.heads.of(graph)
        system = arguments(graph, self.source.element_index, kept=request.create_graph)
        strain = bool(names & {"stress", "virial"})
        extrapolation = "extrapolation" in names
        try:
            if request.create_graph:
                parameters = dict(self.source.named_parameters())
                wanted = ("forces" in names, strain, extrapolation)
                energies, forces, w, outside = Differentiable.apply(
                    self, system, wanted, list(parameters), *parameters.values()
                )  # pyright: ignore[reportGeneralTypeIssues]
                virials = None
            else:
                energies, forces, w, virials, outside = compute(
                    self.model,
                    system,
                    forces="forces" in names,
                    strain=strain,
                    virials="virials" in names,
                    extrapolation=extrapolation,
                )
        except (ValueError, RuntimeError) as error:
            raise refused(error) from error
        energy = energies.new_zeros(graph.n_systems).index_add(0, graph.system, energies)
        found = {"energy": energy, "energies": energies, "forces": forces, "virials": virials}
        found["extrapolation"] = outside
        if w is not None:
            found |= of_strain(graph, w)
        return {name: found[name] for name in NAMES if name in names}


def refused(error: Exception) -> UserError:
    """Return what the C++ found wrong with a structure as an error of the user."""
    return UserError(f"{error}", "native engine", "Remove or repair this structure.")
