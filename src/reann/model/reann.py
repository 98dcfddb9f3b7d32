"""REANN: the embedded density, its recursion, and the readout of atomic energies.

Zhang, Xia, Jiang, Phys. Rev. Lett. 127, 156002 (2021). `Reann.forward` is the paper.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.graph import Graph
from reann.model.angular import angular
from reann.model.density import ORBITALS_OF_MANY, Gram, ManyBody, Orbitals, moments
from reann.model.messages import Directional
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.radial import CUTOFF_FUNCTIONS, Gaussians
from reann.model.zbl import ZBL

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
"""Of the networks, by name."""
UNKNOWN = -1
"""Index of an element that the model does not know."""
HEAVIEST = 118


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
    orbital_coefficients
        c^(0), (elements, n_radial).
    density_mean, density_scale
        Fixed standardization of the density, (elements, features).
    density_min, density_max
        Range of the density in the training structures, (elements, features); infinite for
        elements that were not there, and for all when it was not recorded.
    """

    energy_scale: Tensor
    coefficient_scale: Tensor
    density_mean: Tensor
    density_scale: Tensor
    density_min: Tensor
    density_max: Tensor
    element_index: Tensor

    def __init__(
        self,
        config: ModelConfig,
        elements: list[int],
        mean_neighbors: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.config, self.elements, self.cutoff = config, list(elements), config.cutoff
        n_elements, n_radial = len(elements), config.n_radial
        self.cutoff_function = CUTOFF_FUNCTIONS[config.cutoff_function]
        self.radial = Gaussians(
            n_elements,
            n_radial,
            config.cutoff,
            per_pair=config.radial == "pair",
            free=config.radial_width == "free",
        )
        self.density = _density(config, generator)
        per_neighbor = max(mean_neighbors, 1.0) ** -0.5
        # Random signs and sizes: what neighbors of different elements add is told apart at once.
        start = torch.randn(n_elements, n_radial, generator=generator)
        self.orbital_coefficients = nn.Parameter(start * per_neighbor)
        directions = config.l_max if config.messages == "directional" else 0
        self.updates = nn.ModuleList(
            Network(
                n_elements,
                self.density.width,
                n_radial * (1 + directions),
                config.update,
                bias=True,
                generator=generator,
            )
            for _ in range(config.n_recursions)
        )
        self.readout = Network(
            n_elements, self.density.width, 1, config.readout, bias=False, generator=generator
        )
        self.messages = nn.ModuleList(
            Directional(n_radial, directions, generator)
            for _ in range(config.n_recursions if directions else 0)
        )
        self.zbl = ZBL(self.elements, config.zbl, config.cutoff) if config.zbl else None

        self.reference_energies = nn.Parameter(torch.zeros(n_elements, dtype=torch.float64))
        self.register_buffer("energy_scale", torch.ones((), dtype=torch.float64))
        scale = config.coefficient_scale or per_neighbor
        self.register_buffer("coefficient_scale", torch.tensor(scale))
        shape = (n_elements, self.density.width)
        self.register_buffer("density_mean", torch.zeros(shape))
        self.register_buffer("density_scale", torch.ones(shape))
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
        rho = self.density_of(atoms)
        network = self.readout(self.standardize(rho, atoms.counts), atoms.counts)
        # NN_Z(0), and exactly nothing for an atom whose density is zero.
        one_each = [1] * len(self.elements)
        nothing = self.standardize(rho.new_zeros(len(self.elements), rho.shape[1]), one_each)
        network_of_nothing = self.readout(nothing, one_each).index_select(0, atoms.element)
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
        return Neighborhood.of(graph, vectors, element, len(self.elements), 2.0 * self.cutoff)

    def embed(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Embedding:
        """Return rho^(T), atoms in the order of the elements."""
        atoms = self.neighborhood(graph, vectors)
        return Embedding(self.density_of(atoms), atoms)

    def density_of(self, atoms: Neighborhood) -> Float[Tensor, "atoms features"]:
        """Return rho^(T).

        c_j^(0) = c_Z,  rho^(t) = density(c^(t), u^(t)),  c_j^(t+1) = c_j^(t) + g_t(rho_j^(t)), and
        with directional messages u^(0) = 0, u_j^(t+1) from gates of g_t and the moments of j.
        """
        vector = atoms.vector.to(self.orbital_coefficients.dtype)
        r = torch.linalg.vector_norm(vector, dim=-1)
        radial = self.radial(r, atoms.element, atoms.element[atoms.neighbor])
        radial = radial * self.cutoff_function(r, self.cutoff)[..., None]
        direction = vector / r[..., None] if self.config.angular == "unit" else vector
        y = angular(direction, self.config.l_max)

        # index_select throughout: the gradient of an indexed tensor adds in no fixed order.
        c, u = self.orbital_coefficients.index_select(0, atoms.element), None
        for t, update in enumerate(self.updates):
            s = moments(atoms, radial, y, c, u)
            rho = self.density(s, t)
            g = self.coefficient_scale * update(self.standardize(rho, atoms.counts), atoms.counts)
            c = c + g[:, : c.shape[1]]
            if self.messages:
                u = self.messages[t](g[:, c.shape[1] :], s)
        return self.density(moments(atoms, radial, y, c, u), len(self.updates))

    def standardize(
        self, rho: Float[Tensor, "atoms features"], counts: list[int]
    ) -> Float[Tensor, "atoms features"]:
        """Shift and scale the density per element, linearly: no normalization of an atom's own."""
        if not self.config.standardize:
            return rho
        each = zip(rho.split(counts), self.density_mean, self.density_scale, strict=True)
        return torch.cat([(rho_z - mean) / scale for rho_z, mean, scale in each])

    @property
    def has_range(self) -> bool:
        """Whether the range of the density was recorded, be it for one element only."""
        return bool(self._in_training().any())

    def _in_training(self) -> Bool[Tensor, " elements"]:
        return (self.density_min.isfinite() & self.density_max.isfinite()).all(1)

    def extrapolates(self, graph: Graph, margin: float = 0.05) -> Bool[Tensor, " atoms"]:
        """Return which atoms have a density outside the training range; ask `has_range` first.

        An atom extrapolates when one feature lies outside by more than `margin` times the width
        of its range, or when the training had no atom of its element.
        """
        with torch.no_grad():
            rho, atoms = self.embed(graph, graph.edge_vectors())
        low, high = self.density_min[atoms.element], self.density_max[atoms.element]
        # A feature that never changed in the training still has rounding.
        slack = margin * (high - low) + 1e-4 * self.density_scale[atoms.element]
        outside = ((rho < low - slack) | (rho > high + slack)).any(1)
        outside |= ~self._in_training()[atoms.element]
        return outside[atoms.rank]


def _density(config: ModelConfig, generator: torch.Generator | None) -> Gram | ManyBody | Orbitals:
    if config.features == "many_body" and config.l_max >= 2:
        n_orbitals = config.n_orbitals or ORBITALS_OF_MANY
        return ManyBody(config.n_radial, config.l_max, n_orbitals, generator=generator)
    if config.features != "orbitals":
        return Gram(config.n_radial, config.l_max)
    products = config.n_radial * (config.n_radial + 1) // 2
    every = products * (config.l_max + 1)
    return Orbitals(
        config.n_radial,
        config.l_max,
        config.n_orbitals or (products if config.orbitals_per_l else every),
        per_l=config.orbitals_per_l,
        n_contractions=config.n_recursions + 1 if config.orbitals_per_recursion else 1,
        generator=generator,
    )


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


def in_precision(model: Reann, dtype: torch.dtype) -> Reann:
    """Convert the networks to `dtype`; reference energies, energy scale and ZBL stay float64."""
    # A constant that was rounded once would stay so when the model is converted back.
    kept = {"reference_energies", "energy_scale", "density.twice"}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and name not in kept and not name.startswith("zbl."):
            tensor.data = tensor.data.to(dtype)
    return model
