"""REANN: the embedded density, its recursion, and the readout of atomic energies.

Zhang, Xia, Jiang, Phys. Rev. Lett. 127, 156002 (2021). `Reann.forward` is the paper.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from reann.config import ModelConfig
from reann.errors import UserError, did_you_mean
from reann.facts import HEAVIEST, RANGE_ROUNDING
from reann.graph import Graph
from reann.model.dispersion import Dispersion
from reann.model.equivariant.readout import Readouts
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.heads import EnergyHead, Heads, OutputHead
from reann.model.hosts import Host, host_of
from reann.model.inputs import numbers_of
from reann.model.long_range import LatentCharges
from reann.model.messages import update_of
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.nodes import Update
from reann.model.output_heads import output_heads
from reann.model.recursion import Recursion
from reann.model.representation import Representation
from reann.model.repulsion import Repulsion
from reann.model.terms import Outputs, StructureTerm, Term, summed
from reann.model.zbl import ZBL
from reann.quantities import BORN
from reann.torch_state import differentiable

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
"""Of the networks, by name."""
UNKNOWN = -1
"""Index of an element that the model does not know."""
MARGIN = 0.05
"""An atom extrapolates where a feature lies outside its range by this part of the width."""


class Embedding(NamedTuple):
    """What the recursion leaves: the density rho^(T) and the neighbors it was summed over.

    With equivariant messages the density stands for x^(0) .. x^(T).
    """

    density: Float[Tensor, "atoms features"]
    atoms: Neighborhood


class Reann(nn.Module):
    """Atomic energies E_i = e_Z + s [NN_Z(rho_i^(T)) - NN_Z(0)] (+ repulsion).

    An atom without neighbors has rho = 0 at every T: its energy is e_Z exactly. With equivariant
    messages the features x of all layers take the place of rho, and those of a free atom that of 0.

    Attributes
    ----------
    recursion
        From neighbors to rho^(T).
    heads
        e, s and NN by the name of a head.
    output_heads
        What gives other quantities, by their names.
    density_min, density_max
        Range of the density in the training structures, (elements, features); infinite for
        elements that were not there, and for all when it was not recorded.
    """

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
        update: Update | None = None,
    ) -> None:
        """Make a potential; `host` and `update` replace those that the configuration names."""
        super().__init__()
        self.config, self.elements, self.cutoff = config, list(elements), config.cutoff
        n_elements = len(elements)
        self.recursion = recursion_of(
            config, n_elements, mean_neighbors, generator, host=host, update=update
        )
        width = self.recursion.width
        self.heads = Heads(
            (name, EnergyHead(config, n_elements, width, generator)) for name in config.heads
        )
        self.output_heads = output_heads(config, n_elements, width, generator)
        self.zbl = ZBL(self.elements, config.zbl, config.cutoff) if config.zbl else None
        self.repulsion = Repulsion(self.elements, config.cutoff) if config.repulsion else None
        self.long_range = LatentCharges(config.long_range) if config.long_range else None
        self.dispersion = Dispersion(config.dispersion) if config.dispersion else None

        shape = (n_elements, width)
        self.register_buffer("density_min", torch.full(shape, -torch.inf))
        self.register_buffer("density_max", torch.full(shape, torch.inf))
        index = torch.full((HEAVIEST + 1,), UNKNOWN)
        index[torch.tensor(self.elements)] = torch.arange(n_elements)
        self.register_buffer("element_index", index, persistent=False)

    def forward(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, " atoms"]:
        """Return atomic energies in eV, float64, for edge vectors in Å.

        The terms of whole structures are not among them; `reann.properties` adds these.

        Raises
        ------
        UserError
            If the model has no energy.
        """
        return self.energies(self.neighborhood(graph, vectors))

    def energies(self, atoms: Neighborhood) -> Float[Tensor, " atoms"]:
        """Return atomic energies in eV, float64, in the order of the graph."""
        self.heads.require()
        return self.outputs(atoms)["energies"].index_select(0, atoms.rank)

    def of_atoms(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Outputs:
        """Return all outputs of the atoms by name, in the order of the graph."""
        heads = self._heads_of_outputs()
        differentiates = any(head.DIFFERENTIATES for head in heads.values())
        if differentiates and not vectors.requires_grad:
            vectors = vectors.detach().requires_grad_()
        # Outside of it the mode says whether derivatives are to be differentiated again.
        with torch.set_grad_enabled(differentiates or torch.is_grad_enabled()):
            atoms = self.neighborhood(graph, vectors)
            values = {k: x.index_select(0, atoms.rank) for k, x in self.outputs(atoms).items()}
        own = {n: head.of_edges(values[n], graph, vectors) for n, head in heads.items()}
        return self.placed(values | own, graph)

    def placed(
        self,
        values: Mapping[str, Tensor],
        graph: Graph,
        element: Int[Tensor, " atoms"] | None = None,
    ) -> Outputs:
        """Return what values of the output heads become where the atoms are, others as they are.

        `element` is the index of the element of each atom, if it is known.
        """
        if element is None:
            element = self.element_index.index_select(0, graph.atomic_numbers)
        found = dict(values)
        for name, head in self._heads_of_outputs().items():
            found[name] = head.placed(values[name], graph, element, found)
        return found

    def _heads_of_outputs(self) -> dict[str, OutputHead]:
        return {n: head for n, head in self.output_heads.items() if isinstance(head, OutputHead)}

    def outputs(self, atoms: Neighborhood) -> Outputs:
        """Return the sum of the network and all other terms, in the order of the elements."""
        others: list[Term | None] = [self.zbl, self.repulsion]
        return summed([self.network, *(term for term in others if term is not None)], atoms)

    def network(
        self,
        atoms: Neighborhood,
        before: Mapping[str, Tensor],  # noqa: ARG002 - the first term
    ) -> Outputs:
        """Return E_i = e_Z + s [NN_Z(rho_i^(T)) - NN_Z(0)], eV, float64, and other outputs."""
        atoms = self.softened(atoms)
        if self.config.reads_states:
            assert isinstance(self.recursion, EquivariantRecursion)
            rho, states = self.recursion.with_states(atoms)
            features = self.recursion.features(rho, atoms)._replace(states=states)
        else:
            features = self.recursion.features(self.recursion(atoms), atoms)
        others = {name: head(features, atoms) for name, head in self.output_heads.items()}
        return ({"energies": self.heads(features, atoms)} if len(self.heads) else {}) | others

    def neighborhood(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Neighborhood:
        """Lay out a graph for this model."""
        element = self.element_index[graph.atomic_numbers]
        beyond, head = 2.0 * self.cutoff, self.heads.of(graph)
        n_elements = len(self.elements)
        edges = graph.first, graph.center, graph.neighbor
        if (field := graph.field if self.config.field else None) is not None:
            field = field[graph.system]
        inputs = None
        if self.config.inputs:
            inputs = numbers_of(graph, self.config.inputs)[graph.system]
        return Neighborhood.of(
            edges,
            vectors,
            element,
            n_elements,
            beyond,
            head=head,
            field=field,
            inputs=inputs,
            sizes=None if is_tracing() else self._sizes(graph),
        )

    def _sizes(self, graph: Graph) -> list[int]:
        """Return the number of atoms of each element, and the largest number of neighbors."""
        counts = graph.sizes.composition
        return [*(counts.get(number, 0) for number in self.elements), graph.sizes.most_neighbors]

    def embed(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Embedding:
        """Return rho^(T), atoms in the order of the elements."""
        atoms = self.neighborhood(graph, vectors)
        return Embedding(self.recursion(self.softened(atoms)), atoms)

    def softened(self, atoms: Neighborhood) -> Neighborhood:
        """Return the neighbors as the network sees them."""
        return atoms if self.repulsion is None else self.repulsion.softened(atoms)

    @property
    def structure_terms(self) -> list[StructureTerm]:
        """Terms that depend on more than neighbors, which `reann.properties` adds."""
        terms: list[StructureTerm] = [] if self.long_range is None else [self.long_range]
        if self.dispersion is not None and self.dispersion.is_on:
            terms.append(self.dispersion)
        return terms

    @property
    def readout(self) -> Network | Readouts:
        """The networks of the first head."""
        return self.heads.first.readout

    @property
    def reference_energies(self) -> nn.Parameter:
        """The e_Z of the first head in eV, float64, one per element."""
        return self.heads.first.reference_energies

    @property
    def energy_scale(self) -> Tensor:
        """The scale s of the first head in eV, float64."""
        return self.heads.first.energy_scale

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the networks."""
        return self.recursion.dtype

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the quantities besides the energy and its derivatives."""
        slopes = (BORN,) if "dipole" in self.output_heads else ()
        return (*self.output_heads, *slopes, *self.responses)

    @property
    def responses(self) -> tuple[str, ...]:
        """Outputs that are derivatives of the energy with respect to the electric field."""
        return self.config.responses

    @property
    def inputs(self) -> list[str]:
        """What it asks of a structure besides its atoms and its cell."""
        return self.config.every_input

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
        return self.outside(rho, atoms.element)[atoms.rank]

    def outside(
        self, rho: Float[Tensor, "atoms features"], element: Int[Tensor, " atoms"]
    ) -> Float[Tensor, " atoms"]:
        """Return how far densities lie outside the training range, for atoms in any order."""
        low, high = self.density_min[element], self.density_max[element]
        # A feature that never changed in the training still has rounding.
        rounding = RANGE_ROUNDING * self.recursion.feature_scale[element]
        outside = torch.maximum(low - rho, rho - high) - rounding
        distance = torch.where(outside > 0.0, outside / (high - low), 0.0).amax(1)
        distance = torch.where(self._in_training()[element], distance, torch.inf)
        return distance.to(torch.float64)

    def extrapolates(self, graph: Graph, margin: float = MARGIN) -> Bool[Tensor, " atoms"]:
        """Return which atoms have a density outside the training range; ask `has_range` first.

        An atom extrapolates when one feature lies outside by more than `margin` times the width
        of its range, or when the training had no atom of its element.
        """
        return self.extrapolation(graph) > margin


def recursion_of(
    config: ModelConfig,
    n_elements: int,
    mean_neighbors: float = 1.0,
    generator: torch.Generator | None = None,
    *,
    host: Host | None = None,
    update: Update | None = None,
) -> Representation:
    """Return the recursion that a configuration names, with seeded weights.

    Raises
    ------
    UserError
        For a host or an update that shall replace those of a configuration with equivariant
        messages, which have neither.
    """
    if config.messages != "equivariant":
        host = host or host_of(config, n_elements, generator)
        update = update or update_of(config, host, n_elements, mean_neighbors, generator)
        return Recursion(host, update, n_elements, standardized=config.standardize)
    if host or update:
        raise UserError(
            "A model with equivariant messages takes no host and no update.",
            "model.messages",
            "Use `messages: scalar` or `messages: directional` with them.",
        )
    return EquivariantRecursion(config, n_elements, mean_neighbors, generator)


@differentiable()
def with_head(model: Reann, name: str) -> Reann:
    """Return a copy of a model with one of its heads alone, which every engine computes.

    Raises
    ------
    UserError
        If the model has no head of this name.
    """
    if name not in model.heads:
        raise UserError(
            f"The model has no head '{name}'.{did_you_mean(name, model.heads)}",
            fix=f"Use one of {', '.join(model.heads)}.",
        )
    alone = copy.deepcopy(model)
    alone.config = model.config.model_copy(update={"heads": [name]})
    for other in model.heads:
        if other != name:
            del alone.heads[other]
    return alone


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
    """Convert the networks to `dtype`; all that is an energy stays float64."""
    # Constants are not in the state: rounded once, they would stay so when converted back.
    for name, tensor in model.state_dict(keep_vars=True).items():
        owner, _, own_name = name.rpartition(".")
        kept = getattr(model.get_submodule(owner), "DOUBLE", ())
        if tensor.is_floating_point() and own_name not in kept:
            tensor.data = tensor.data.to(dtype)
    return model


def without_inference(model: Reann) -> Reann:
    """Return the model, or a copy that can be differentiated if it was made in inference mode."""
    with differentiable():
        return copy.deepcopy(model) if next(model.parameters()).is_inference() else model
