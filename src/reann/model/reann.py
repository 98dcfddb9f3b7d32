"""REANN: the embedded density, its recursion, and the readout of atomic energies.

Zhang, Xia, Jiang, Phys. Rev. Lett. 127, 156002 (2021). `Reann.forward` is the paper.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.graph import Graph
from reann.model.hosts import Host, host_of
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.recursion import Recursion
from reann.model.zbl import ZBL
from reann.torch_state import differentiable

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
"""Of the networks, by name."""
UNKNOWN = -1
"""Index of an element that the model does not know."""
HEAVIEST = 118
MARGIN = 0.05
"""An atom extrapolates where a feature lies outside its range by this part of the width."""
ROUNDING = 1e-4
"""Distance from a range that counts as rounding, in units of the feature's scale."""


class Embedding(NamedTuple):
    """What the recursion leaves: the density rho^(T) and the neighbors it was summed over."""

    density: Float[Tensor, "atoms features"]
    atoms: Neighborhood


class Reann(nn.Module):
    """Atomic energies E_i = e_Z + s [NN_Z(rho_i^(T)) - NN_Z(0)] (+ ZBL).

    An atom without neighbors has rho = 0 at every T: its energy is e_Z exactly.

    Attributes
    ----------
    reference_energies
        e_Z in eV, float64, one per element.
    energy_scale
        s in eV, float64.
    density_min, density_max
        Range of the density in the training structures, (elements, features); infinite for
        elements that were not there, and for all when it was not recorded.
    """

    energy_scale: Tensor
    density_min: Tensor
    density_max: Tensor
    element_index: Tensor

    def __init__(
        self,
        config: ModelConfig,
        elements: list[int],
        mean_neighbors: float = 1.0,
        generator: torch.Generator | None = None,
        *,
        host: Host | None = None,
    ) -> None:
        """Make a potential; `host` takes the place of the one that the configuration names."""
        super().__init__()
        self.config, self.elements, self.cutoff = config, list(elements), config.cutoff
        n_elements = len(elements)
        self.recursion = Recursion(
            host or host_of(config, n_elements, generator),
            n_elements,
            config.n_recursions,
            config.update,
            mean_neighbors=mean_neighbors,
            update_scale=config.coefficient_scale,
            directional=config.messages == "directional",
            standardized=config.standardize,
            generator=generator,
        )
        width = self.recursion.host.width
        self.readout = Network(
            n_elements, width, 1, config.readout, bias=False, generator=generator
        )
        self.zbl = ZBL(self.elements, config.zbl, config.cutoff) if config.zbl else None

        self.reference_energies = nn.Parameter(torch.zeros(n_elements, dtype=torch.float64))
        self.register_buffer("energy_scale", torch.ones((), dtype=torch.float64))
        shape = (n_elements, width)
        self.register_buffer("density_min", torch.full(shape, -torch.inf))
        self.register_buffer("density_max", torch.full(shape, torch.inf))
        index = torch.full((HEAVIEST + 1,), UNKNOWN)
        index[torch.tensor(self.elements)] = torch.arange(n_elements)
        self.register_buffer("element_index", index, persistent=False)

    def forward(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, " atoms"]:
        """Return atomic energies in eV, float64, for edge vectors in Å."""
        return self.energies(self.neighborhood(graph, vectors))

    def energies(self, atoms: Neighborhood) -> Float[Tensor, " atoms"]:
        """Return atomic energies in eV, float64, in the order of the graph."""
        rho = self.recursion(atoms)
        network = self.readout(self.recursion.standardize(rho, atoms.counts), atoms.counts)
        # NN_Z(0), and exactly nothing for an atom whose density is zero.
        of_nothing = self.readout(self.recursion.nothing(), [1] * len(self.elements))
        network_of_nothing = of_nothing.index_select(0, atoms.element)
        embedded = torch.where((rho != 0).any(1, keepdim=True), network - network_of_nothing, 0.0)
        energies = self.reference_energies.index_select(0, atoms.element)
        energies = energies + self.energy_scale * embedded[:, 0].to(torch.float64)
        if self.zbl is not None:
            r = torch.linalg.vector_norm(atoms.vector, dim=-1)
            energies = energies + self.zbl(r, atoms.element, atoms.element[atoms.neighbor])
        return energies.index_select(0, atoms.rank)

    def neighborhood(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Neighborhood:
        """Lay out a graph for this model."""
        element = self.element_index[graph.atomic_numbers]
        beyond = 2.0 * self.cutoff
        return Neighborhood.of(graph.edge_index, vectors, element, len(self.elements), beyond)

    def embed(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Embedding:
        """Return rho^(T), atoms in the order of the elements."""
        atoms = self.neighborhood(graph, vectors)
        return Embedding(self.recursion(atoms), atoms)

    @property
    def has_range(self) -> bool:
        """Whether the range of the density was recorded, be it for one element only."""
        return bool(self._in_training().any())

    def _in_training(self) -> Bool[Tensor, " elements"]:
        return (self.density_min.isfinite() & self.density_max.isfinite()).all(1)

    def extrapolation(self, graph: Graph) -> Float[Tensor, " atoms"]:
        """Return how far the density of each atom lies outside the training range, float64.

        0 inside. Outside it is the largest distance of a feature from its range, less what may be
        rounding, in widths of this range: infinite for a feature that was the same for all atoms
        of the training, and for elements that the training did not have.
        """
        with differentiable(), torch.no_grad():
            rho, atoms = self.embed(graph, graph.edge_vectors())
        element = atoms.element
        low, high = self.density_min[element], self.density_max[element]
        # A feature that never changed in the training still has rounding.
        rounding = ROUNDING * self.recursion.feature_scale[element]
        outside = torch.maximum(low - rho, rho - high) - rounding
        distance = torch.where(outside > 0.0, outside / (high - low), 0.0).amax(1)
        distance = torch.where(self._in_training()[element], distance, torch.inf)
        return distance[atoms.rank].to(torch.float64)

    def extrapolates(self, graph: Graph, margin: float = MARGIN) -> Bool[Tensor, " atoms"]:
        """Return which atoms have a density outside the training range; ask `has_range` first.

        An atom extrapolates when one feature lies outside by more than `margin` times the width
        of its range, or when the training had no atom of its element.
        """
        return self.extrapolation(graph) > margin


@differentiable()
def build(
    config: ModelConfig,
    elements: list[int],
    mean_neighbors: float = 1.0,
    *,
    seed: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Reann:
    """Return a new potential with seeded weights: networks in `dtype`, energies in float64."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return in_precision(Reann(config, elements, mean_neighbors, generator), dtype)


@differentiable()
def in_precision(model: Reann, dtype: torch.dtype) -> Reann:
    """Convert the networks to `dtype`; reference energies, energy scale and ZBL stay float64."""
    kept = ("reference_energies", "energy_scale")
    # Constants are not in the state: rounded once, they would stay so when converted back.
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_floating_point() and name not in kept:
            tensor.data = tensor.data.to(dtype)
    return model


def without_inference(model: Reann) -> Reann:
    """Return the model, or a copy that can be differentiated if it was made in inference mode."""
    with differentiable():
        return copy.deepcopy(model) if model.reference_energies.is_inference() else model
