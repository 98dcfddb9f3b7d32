"""The recursion with equivariant messages: T + 1 layers, all of which contribute to the energy.

The initial states are h^0 = c_Z, without vectors or tensors. The states after layer t are the
states of the neighbors in layer t + 1. Each layer extends the range by one cutoff. See
`reann.model.equivariant.layer` for the equations.
"""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.model.equivariant.basis import COMPONENTS, RADIAL_BASES, angular, solid
from reann.model.equivariant.layer import MATRIX, Layer, NeighborFunctions, State
from reann.model.hosts.radial import CUTOFF_FUNCTIONS
from reann.model.inputs import n_numbers
from reann.model.neighborhood import Neighborhood
from reann.model.representation import Features, Representation
from reann.model.roles import Role


class EquivariantRecursion(Representation):
    """Features x^(t) of all atoms, those of all layers one after the other.

    Attributes
    ----------
    embedding
        c, (elements, channels).
    radial_scale
        Factor of the radial basis, (): its root mean square over the neighbors is one at the start.
    of_inputs
        w, (numbers, elements, channels), of a model that depends on charge or spin
        (`reann.model.inputs`).
    input_scale
        s, (numbers,): the root mean square of each number in the training, of those not zero.
    field_scale
        Factor of the electric field, 1/F_0 in Å/V, ().
    layers
        Layers t = 0 .. T.
    """

    ROLES: ClassVar[dict[str, Role]] = {"embedding": MATRIX, "of_inputs": MATRIX}
    radial_scale: Tensor
    field_scale: Tensor
    input_scale: Tensor

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        mean_neighbors: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.cutoff, self.n_radial, self.l_max = config.cutoff, config.n_radial, config.l_max
        self.cutoff_function = CUTOFF_FUNCTIONS[config.cutoff_function]
        self.radial_basis = RADIAL_BASES[config.radial_basis]
        self.width = (config.n_recursions + 1) * config.channels
        self.embedding = nn.Parameter(torch.randn(n_elements, config.channels, generator=generator))
        self.register_buffer("radial_scale", torch.ones(()))
        if config.field:
            self.register_buffer("field_scale", torch.ones(()))
        if config.inputs:
            shape = n_numbers(config.inputs), n_elements, config.channels
            self.of_inputs = nn.Parameter(torch.randn(shape, generator=generator))
            self.register_buffer("input_scale", torch.ones(shape[0]))
        self.layers = nn.ModuleList(
            Layer(config, n_elements, t, mean_neighbors=mean_neighbors, generator=generator)
            for t in range(config.n_recursions + 1)
        )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the recursion."""
        return self.embedding.dtype

    @property
    def messages(self) -> str:
        """Name of the messages."""
        return "equivariant"

    @property
    def feature_scale(self) -> Float[Tensor, "elements features"]:
        """One, because x is computed from standardized products."""
        return self.embedding.new_ones(len(self.embedding), self.width)

    def forward(self, atoms: Neighborhood) -> Float[Tensor, "atoms features"]:
        """Return x^(0) .. x^(T), atoms in the order of the elements."""
        return self.with_states(atoms)[0]

    def with_states(
        self, atoms: Neighborhood
    ) -> tuple[Float[Tensor, "atoms features"], list[State]]:
        """Return x^(0) .. x^(T), and the states after each layer, atoms in the same order."""
        functions, h = self.prepare(atoms), self.start(atoms)
        every_x, every_h = [], []
        for layer in self.layers:
            x, h = layer(functions, h)
            every_x.append(x)
            every_h.append(h)
        return torch.cat(every_x, dim=1), every_h

    def each_layer(self) -> list[Layer]:
        """Return layers t = 0 .. T."""
        return [cast("Layer", layer) for layer in self.layers]

    def prepare(self, atoms: Neighborhood) -> NeighborFunctions:
        """Return radial and angular functions of all neighbors."""
        vector = atoms.vector.to(self.dtype)
        r = torch.linalg.vector_norm(vector, dim=-1)
        inside = self.radial_scale * self.cutoff_function(r, self.cutoff)
        basis = self.radial_basis(r, self.cutoff, self.n_radial) * inside[..., None]
        Y = angular(vector / r[..., None], self.l_max)
        return NeighborFunctions(atoms, basis, Y, self.field_moments(atoms))

    def field_moments(self, atoms: Neighborhood) -> list[Tensor]:
        """Return Y_l of the field by l, (atoms, components); nothing without a field."""
        if atoms.field is None:
            return []
        return solid(self.field_scale * atoms.field.to(self.dtype), min(self.l_max, 2))

    def start(self, atoms: Neighborhood) -> State:
        """Return h^0, which is c_Z without inputs."""
        scalars = self.embedding.index_select(0, atoms.element)
        if atoms.inputs is not None:
            scalars = scalars + self.shift(atoms.inputs, atoms.element)
        return [scalars[:, None]]

    def shift(
        self, inputs: Float[Tensor, "atoms numbers"], element: Int[Tensor, " atoms"]
    ) -> Float[Tensor, "atoms channels"]:
        """Return the contribution of charge and spin to the initial states h^0."""
        x = inputs.to(self.dtype) / self.input_scale
        return (x.T[:, :, None] * self.of_inputs.index_select(1, element)).sum(0)

    def of_free_atoms(
        self, states: Float[Tensor, "states numbers"] | None = None
    ) -> Float[Tensor, "kinds features"]:
        """Return x^(0) .. x^(T) of an atom of each element without neighbors: no moments.

        With numbers of charge and spin, one row for each of them behind each other, element by
        element.
        """
        n_elements, c = len(self.embedding), self.embedding
        counts = [1 if states is None else len(states)] * n_elements
        if states is not None:
            element = torch.arange(n_elements, device=c.device).repeat_interleave(len(states))
            c = c.index_select(0, element) + self.shift(states.repeat(n_elements, 1), element)
        h = [c[:, None]]
        shapes = [(len(c), n, c.shape[1]) for n in COMPONENTS[: self.l_max + 1]]
        zero = [self.embedding.new_zeros(shape) for shape in shapes]
        every_x = []
        for layer in self.each_layer():
            x, h = layer.of_moments(zero, h[0], counts)
            every_x.append(x)
        return torch.cat(every_x, dim=1)

    def features(self, D: Float[Tensor, "atoms features"], atoms: Neighborhood) -> Features:
        """Return the input of the heads: x, and x of free atoms."""
        is_embedded = (atoms.vector.square().sum(-1) < self.cutoff**2).any(1)
        if atoms.field is not None:  # a field polarizes free atoms, too
            is_embedded = torch.ones_like(is_embedded)
        if atoms.inputs is None:
            return Features(is_embedded, D, self.of_free_atoms(), atoms.element)
        states, state = torch.unique(atoms.inputs, dim=0, return_inverse=True)
        kind = atoms.element * len(states) + state
        return Features(is_embedded, D, self.of_free_atoms(states), kind)
