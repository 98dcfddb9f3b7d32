"""The range of the density in the training structures, and atoms outside it: extrapolation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from reann.facts import RANGE_ROUNDING
from reann.graph import Graph
from reann.model.neighborhood import Neighborhood
from reann.model.representation import Representation
from reann.torch_state import differentiable

MARGIN = 0.05
"""An atom extrapolates if a feature is outside its range by more than this fraction of the
width."""


class Embedding(NamedTuple):
    """Result of the recursion: the density rho^(T), and the neighbors it is summed over.

    With equivariant messages the density is x^(0) .. x^(T).
    """

    density: Float[Tensor, "atoms features"]
    atoms: Neighborhood


class TrainingRange(nn.Module):
    """A model that records the range of its density in the training structures.

    Attributes
    ----------
    density_min, density_max
        Range of the density, (elements, features); infinite for elements that are not in the
        training structures, and for all elements if it was not recorded.
    """

    density_min: Tensor
    density_max: Tensor
    recursion: Representation

    def register_range(self, n_elements: int, width: int) -> None:
        """Register buffers for a range that is not recorded yet."""
        shape = (n_elements, width)
        self.register_buffer("density_min", torch.full(shape, -torch.inf))
        self.register_buffer("density_max", torch.full(shape, torch.inf))

    def embed(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Embedding:
        """Return the density of all atoms."""
        raise NotImplementedError

    @property
    def has_range(self) -> bool:
        """Whether the range of the density was recorded for any element."""
        return bool(self._in_training().any())

    def _in_training(self) -> Bool[Tensor, " elements"]:
        return (self.density_min.isfinite() & self.density_max.isfinite()).all(1)

    def extrapolation(self, graph: Graph) -> Float[Tensor, " atoms"]:
        """Return the distance of the density of each atom from the training range, float64.

        It is 0 inside the range. Outside, it is the largest distance of a feature from its range,
        minus possible rounding errors, in units of the width of the range. It is infinite for
        features that are constant in the training data, and for elements that are not in them.
        """
        with differentiable(), torch.no_grad():
            rho, atoms = self.embed(graph, graph.edge_vectors())
        return self.outside(rho, atoms.element)[atoms.rank]

    def outside(
        self, rho: Float[Tensor, "atoms features"], element: Int[Tensor, " atoms"]
    ) -> Float[Tensor, " atoms"]:
        """Return the distances of densities from the training range, for atoms in any order."""
        low, high = self.density_min[element], self.density_max[element]
        # Constant features have rounding errors, too.
        rounding = RANGE_ROUNDING * self.recursion.feature_scale[element]
        outside = torch.maximum(low - rho, rho - high) - rounding
        distance = torch.where(outside > 0.0, outside / (high - low), 0.0).amax(1)
        distance = torch.where(self._in_training()[element], distance, torch.inf)
        return distance.to(torch.float64)

    def extrapolates(self, graph: Graph, margin: float = MARGIN) -> Bool[Tensor, " atoms"]:
        """Return which atoms have a density outside the training range; check `has_range` first.

        An atom extrapolates if a feature is outside its range by more than `margin` times the width
        of the range, or if its element is not in the training data.
        """
        return self.extrapolation(graph) > margin
