"""The reference backend: the model in PyTorch, on any device, with all derivatives."""

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
    """The model itself, not a copy: changes of its weights take effect immediately."""

    model: AtomicEnergies

    def update(self, model: Reann) -> None:
        """Use another model."""
        self.model = model

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties; see `reann.properties.evaluate`."""
        names = request.names
        from_properties = names - {"extrapolation"}
        results: dict[str, Tensor] = {}
        if from_properties:
            kept = request.create_graph
            results = properties.evaluate(self.model, graph, from_properties, create_graph=kept)
        if "extrapolation" in names:
            assert isinstance(self.model, Reann)
            results["extrapolation"] = self.model.extrapolation(graph)
        return results


class Reference(Backend):
    """The specification of all backends."""

    name = "torch"

    def supports(
        self, model: AtomicEnergies, request: Request, graph: Graph | None = None
    ) -> str | None:
        """Return None, except for outputs or a range that the model does not have."""
        del graph
        others = request.names.difference(NAMES)
        missing = others.difference(model.output_names if isinstance(model, Reann) else ())
        if missing:
            return f"the model has no output {', '.join(sorted(missing))}"
        if "extrapolation" in request.names and not isinstance(model, Reann):
            return f"only a Reann has a training range, not {type(model).__name__}"
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
        """Return energies relative to free atoms (eV) and the heat flux (eV Å per time)."""
        return flows(model, graph, velocities)
