"""Heads: outputs computed from the features of atoms, by name.

Labels of different methods have different energies of free atoms, and different scales. With one
head per method they share all parameters except reference energies, energy scale and readout.
`Graph.head` is the head of the labels of each structure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.errors import UserError
from reann.graph import Graph
from reann.model.equivariant.readout import Readouts
from reann.model.inputs import n_numbers
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.representation import Features


class EnergyHead(nn.Module):
    """Atomic energies E_i = e_Z + s [NN_Z(D_i) - NN_Z(0)].

    With equivariant messages NN_Z is the sum of the readouts of all layers.

    Attributes
    ----------
    readout
        NN.
    reference_energies
        e_Z in eV, float64, one per element.
    of_inputs
        eta in eV, float64, (numbers, elements), if the model depends on charge or spin
        (`reann.model.inputs`).
    energy_scale
        s in eV, float64.
    """

    DOUBLE: ClassVar[tuple[str, ...]] = ("reference_energies", "of_inputs", "energy_scale")
    """Tensors that are in float64 for all precisions of the networks."""
    energy_scale: Tensor

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        width: int,
        generator: torch.Generator | None = None,
    ) -> None:
        """Create a head for `width` features."""
        super().__init__()
        self.readout = readout_of(config, n_elements, width, generator)
        self.reference_energies = nn.Parameter(torch.zeros(n_elements, dtype=torch.float64))
        if config.inputs:
            shape = n_numbers(config.inputs), n_elements
            self.of_inputs = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("energy_scale", torch.ones((), dtype=torch.float64))

    def forward(self, features: Features, atoms: Neighborhood) -> Float[Tensor, " atoms"]:
        """Return atomic energies in eV, float64."""
        network = self.readout(features.standardized, atoms.counts)
        # NN_Z(0); the difference is exactly zero for atoms with zero features.
        n_elements = len(self.reference_energies)
        of_each = [len(features.of_free_atoms) // n_elements] * n_elements
        of_nothing = self.readout(features.of_free_atoms, of_each)
        network_of_nothing = of_nothing.index_select(0, features.kind)
        above = (network - network_of_nothing)[:, 0].to(torch.float64)
        energies = self.reference_energies.index_select(0, atoms.element)
        if atoms.inputs is not None:
            eta = self.of_inputs.T.index_select(0, atoms.element)
            energies = energies + (atoms.inputs * eta).sum(1)
        return energies + self.energy_scale * torch.where(features.is_embedded, above, 0.0)


def readout_of(
    config: ModelConfig, n_elements: int, width: int, generator: torch.Generator | None = None
) -> Network | Readouts:
    """Return a readout of `width` features, initially zero."""
    if config.messages == "equivariant":
        return Readouts(config, n_elements, generator)
    return Network(n_elements, width, 1, config.readout, bias=False, generator=generator)


class OutputHead(nn.Module):
    """Contributions of atoms to a quantity other than the energy; packages may derive from it.

    An entry point of the group `reann.heads` with the name of the quantity in `reann.quantities`
    registers the class; `model.outputs` selects the heads of a model.
    """

    def __init__(
        self,
        config: ModelConfig,  # noqa: ARG002 - of those that derive
        n_elements: int,  # noqa: ARG002
        width: int,  # noqa: ARG002
        generator: torch.Generator | None = None,  # noqa: ARG002
    ) -> None:
        """Create a head for `width` features."""
        super().__init__()

    def forward(self, features: Features, atoms: Neighborhood) -> Float[Tensor, "atoms ..."]:
        """Return the values of the atoms; a quantity of systems is their sum."""
        raise NotImplementedError

    DIFFERENTIATES: ClassVar[bool] = False
    """Whether `of_edges` differentiates its values with respect to the edge vectors."""

    def of_edges(
        self,
        values: Tensor,
        graph: Graph,  # noqa: ARG002 - of those that derive
        vectors: Float[Tensor, "edges 3"],  # noqa: ARG002
    ) -> Tensor:
        """Return values, in the order of a graph, after steps that need the edge vectors.

        `vectors` are those from which the values were computed, Å.
        """
        return values

    def placed(
        self,
        values: Tensor,
        graph: Graph,  # noqa: ARG002 - of those that derive
        element: Int[Tensor, " atoms"],  # noqa: ARG002
        before: Mapping[str, Tensor],  # noqa: ARG002
    ) -> Tensor:
        """Return values, in the order of a graph, after steps that need the whole system.

        Parameters
        ----------
        element
            Index of the element of each atom.
        before
            Outputs of the preceding heads, which this quantity may need.
        """
        return values


class Heads(nn.ModuleDict):
    """Heads of a model by name; the first is the default.

    A model without heads has no energy.
    """

    def __init__(self, heads: Iterable[tuple[str, EnergyHead]]) -> None:
        """Store heads by name.

        Raises
        ------
        UserError
            For names that modules of PyTorch use.
        """
        super().__init__()
        for name, head in heads:
            if hasattr(self, name):
                raise UserError(
                    f"A head cannot be called '{name}'.", "model.heads", "Choose another name."
                )
            self[name] = head

    @property
    def first(self) -> EnergyHead:
        """First head; `UserError` if there is none."""
        self.require()
        return self.as_list()[0]

    def require(self) -> None:
        """Raise `UserError` if there is no head."""
        if not len(self):
            raise UserError(
                "This potential has no energy, forces or stress: the model has no energy head.",
                fix="Use its outputs, which `reann info` lists.",
            )

    def as_list(self) -> list[EnergyHead]:
        """Return all heads."""
        return [head for head in self.values() if isinstance(head, EnergyHead)]

    def of(self, graph: Graph) -> Int[Tensor, " atoms"] | None:
        """Return the index of the head of each atom, None if all use the first one.

        Raises
        ------
        UserError
            If a structure on the CPU has a head that the model does not have.
        """
        if graph.head is None:
            return None
        if graph.head.device.type == "cpu":  # a GPU would be waited for
            self._check(graph.head)
        return graph.head[graph.system] if len(self) > 1 else None

    def _check(self, head: Int[Tensor, " systems"]) -> None:
        """Raise `UserError` for a head that there is not."""
        unknown = head[(head < 0) | (head >= len(self))]
        if len(unknown):
            raise UserError(
                f"A structure has the head {unknown[0]}, counted from 0. The heads of the model"
                f" are {', '.join(self)}.",
                fix="Correct `head` of the graph.",
            )

    def forward(self, features: Features, atoms: Neighborhood) -> Float[Tensor, " atoms"]:
        """Return the energies of the atoms, each by its head."""
        if atoms.head is None:
            return self.first(features, atoms)
        each = torch.stack([head(features, atoms) for head in self.values()])
        return each.gather(0, atoms.head[None])[0]
