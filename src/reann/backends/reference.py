"""The reference backend: the model in PyTorch, on any device, with every derivative."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from reann import properties
from reann.backends.flows import flows
from reann.backends.protocol import Backend, Request
from reann.graph import Graph
from reann.model import Reann
from reann.properties import NAMES, AtomicEnergies


@dataclass
class Live:
    """A model as it is: whoever changes its weights changes what is computed."""

    model: AtomicEnergies

    def update(self, model: Reann) -> None:
        """Take another model, or the same."""
        self.model = model

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties; see `reann.properties.evaluate`."""
        names = request.names
        wanted = names - {"extrapolation"}
        found: dict[str, Tensor] = {}
        if wanted:
            kept = request.create_graph
            found = properties.evaluate(self.model, graph, wanted, create_graph=kept)
        if "extrapolation" in names:
            assert isinstance(self.model, Reann)
            found["extrapolation"] = self.model.extrapolation(graph)
        return found


class Reference(Backend):
    """The specification of all backends."""

    name = "torch"

    def supports(
        self, model: AtomicEnergies, request: Request, graph: Graph | None = None
    ) -> str | None:
        """Return None: all but the range of a model that has none."""
        del graph
        others = request.names.difference(NAMES)
        lacking = others.difference(model.output_names if isinstance(model, Reann) else ())
        if lacking:
            return f"the model has no output {', '.join(sorted(lacking))}"
        if "extrapolation" in request.names and not isinstance(model, Reann):
            return f"it knows the range of a Reann, not of {type(model).__name__}"
        return None

    def compile(self, model: AtomicEnergies) -> Live:
        """Return the model itself."""
        return Live(model)

    def current(self, model: AtomicEnergies) -> Live:
        """Return the model itself."""
        return Live(model)

    def heat_flux(
        self, model: Reann, graph: Graph, velocities: Float[Tensor, "atoms 3"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
        """Return energies above free atoms of one structure, eV, and their flow, eV Å per time."""
        return flows(model, graph, velocities)
