"""REANN: the embedded density, its recursion, and the readout of atomic energies.

Zhang, Xia, Jiang, Phys. Rev. Lett. 127, 156002 (2021). `Reann.forward` is the paper.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from reann.config import ModelConfig
from reann.elements import indices_of
from reann.graph import Graph
from reann.model.copies import in_precision, with_head, without_inference
from reann.model.dispersion import Dispersion
from reann.model.equivariant.readout import Readouts
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.heads import EnergyHead, Heads, OutputHead
from reann.model.hosts import Host
from reann.model.inputs import numbers_of
from reann.model.long_range import long_range_of
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.nodes import Update
from reann.model.output_heads import output_heads
from reann.model.recursion import recursion_of
from reann.model.repulsion import Repulsion
from reann.model.terms import Outputs, StructureTerm, Term, summed
from reann.model.training_range import MARGIN, Embedding, TrainingRange
from reann.model.zbl import ZBL
from reann.quantities import BORN
from reann.torch_state import differentiable

__all__ = [
    "MARGIN",
    "PRECISIONS",
    "Embedding",
    "Reann",
    "build",
    "in_precision",
    "with_head",
    "without_inference",
]

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
"""Precisions of the networks by name."""


class Reann(TrainingRange):
    """Atomic energies E_i = e_Z + s [NN_Z(rho_i^(T)) - NN_Z(0)] (+ repulsion).

    An atom without neighbors has rho = 0 for all T, so its energy is exactly e_Z. With equivariant
    messages, rho is replaced by the features x of all layers, and 0 by those of a free atom.

    Attributes
    ----------
    recursion
        Computes rho^(T) from the neighbors.
    heads
        Energy heads by name, each with e, s and NN.
    output_heads
        Heads of other quantities by name.
    """

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
        """Create a potential; `host` and `update` replace those of the configuration."""
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
        self.long_range = long_range_of(config.long_range, elements)
        self.dispersion = Dispersion(config.dispersion) if config.dispersion else None

        self.register_range(n_elements, width)
        self.register_buffer("element_index", indices_of(self.elements), persistent=False)

    def forward(self, graph: Graph, vectors: Float[Tensor, "edges 3"]) -> Float[Tensor, " atoms"]:
        """Return atomic energies in eV, float64, for edge vectors in Å.

        Structure terms are not included; `reann.properties` adds them.

        Raises
        ------
        UserError
            If the model has no energy head.
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
        # The mode outside decides whether derivatives can be differentiated again.
        with torch.set_grad_enabled(differentiates or torch.is_grad_enabled()):
            atoms = self.neighborhood(graph, vectors)
            values = {k: x.index_select(0, atoms.rank) for k, x in self.outputs(atoms).items()}
        of_edges = {n: head.of_edges(values[n], graph, vectors) for n, head in heads.items()}
        return self.placed(values | of_edges, graph)

    def placed(
        self,
        values: Mapping[str, Tensor],
        graph: Graph,
        element: Int[Tensor, " atoms"] | None = None,
    ) -> Outputs:
        """Return outputs after the steps that need the whole graph, such as r_i in a dipole.

        `element` is the index of the element of each atom, if known.
        """
        if element is None:
            element = self.element_index.index_select(0, graph.atomic_numbers)
        placed_values = dict(values)
        for name, head in self._heads_of_outputs().items():
            placed_values[name] = head.placed(values[name], graph, element, placed_values)
            if self.long_range is not None and name == self.long_range.reads:
                placed_values[self.long_range.result] = self.long_range.compute(values[name], graph)
        return placed_values

    def _heads_of_outputs(self) -> dict[str, OutputHead]:
        return {n: head for n, head in self.output_heads.items() if isinstance(head, OutputHead)}

    def outputs(self, atoms: Neighborhood) -> Outputs:
        """Return the sum of the network and the pair terms, atoms in the order of the elements."""
        others: list[Term | None] = [self.zbl, self.repulsion]
        return summed([self.network, *(term for term in others if term is not None)], atoms)

    def network(
        self,
        atoms: Neighborhood,
        before: Mapping[str, Tensor],  # noqa: ARG002 - the first term
    ) -> Outputs:
        """Return E_i = e_Z + s [NN_Z(rho_i^(T)) - NN_Z(0)] in eV, float64, and other outputs."""
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
        """Return the neighborhood of a graph for this model."""
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
        """Return neighbors as input of the network: pairs that are too close are moved apart."""
        return atoms if self.repulsion is None else self.repulsion.softened(atoms)

    @property
    def structure_terms(self) -> list[StructureTerm]:
        """Terms of whole structures, which `reann.properties` adds."""
        terms: list[StructureTerm] = [] if self.long_range is None else [self.long_range]
        if self.dispersion is not None and self.dispersion.is_on:
            terms.append(self.dispersion)
        return terms

    @property
    def readout(self) -> Network | Readouts:
        """Readout of the first head."""
        return self.heads.first.readout

    @property
    def reference_energies(self) -> nn.Parameter:
        """Reference energies e_Z of the first head in eV, float64, (elements,)."""
        return self.heads.first.reference_energies

    @property
    def energy_scale(self) -> Tensor:
        """Energy scale s of the first head in eV, float64."""
        return self.heads.first.energy_scale

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the networks."""
        return self.recursion.dtype

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the quantities besides the energy and its derivatives."""
        slopes = (BORN,) if "dipole" in self.output_heads else ()
        return (*self.of_heads, *slopes, *self.responses)

    @property
    def of_heads(self) -> tuple[str, ...]:
        """Names of the outputs of heads, and of outputs that are computed from them."""
        of_charges = (self.long_range.result,) if self.long_range is not None else ()
        return (*self.output_heads, *of_charges)

    @property
    def responses(self) -> tuple[str, ...]:
        """Outputs that are derivatives of the energy with respect to the electric field."""
        return self.config.responses

    @property
    def inputs(self) -> list[str]:
        """Inputs of the model besides atoms and cell."""
        return self.config.every_input


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
