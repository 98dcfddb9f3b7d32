"""Heads that read scalars, vectors and matrices off the states of equivariant messages.

The rows of an atom are linear in its states in all layers,

    row_i^l = sum_t a_Z^(t,l) . h_i^(t,l) / sqrt(K),

and become values where charges, masses or the number of atoms are known (`placed`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.errors import UserError
from reann.graph import Graph
from reann.model.heads import OutputHead
from reann.model.neighborhood import Neighborhood
from reann.model.products import entries
from reann.model.representation import Features
from reann.quantities import Quantity

ROWS_OF = {(): {"scalars": 0}, (3,): {"vectors": 1}, (3, 3): {"scalars": 0, "matrices": 2}}
"""The l of the rows that give a value of some shape, by the name of their weights."""


class StateHead(OutputHead):
    """Rows of atoms that are linear in their states, zero at the start.

    Attributes
    ----------
    rows
        The l of each row, by the name of its weights a, (layers, elements, channels); by default
        those of the class.
    scale
        Unit of the rows, float64: the spread of the labels at the start.
    of_elements
        What is added to the scalars of each element, (elements,), float64; zero at the start.
    """

    ROWS: ClassVar[Mapping[str, int]] = {}
    DOUBLE: ClassVar[tuple[str, ...]] = ("scale", "of_elements")
    scale: Tensor
    of_elements: Tensor | None

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        width: int,
        generator: torch.Generator | None = None,
        *,
        rows: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(config, n_elements, width, generator)
        self.rows = dict(rows or self.ROWS)
        shape = config.n_recursions + 1, n_elements, config.channels
        for name in self.rows:
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        constants = nn.Parameter(torch.zeros(n_elements, dtype=torch.float64))
        self.register_parameter("of_elements", constants if "scalars" in self.rows else None)

    def forward(self, features: Features, atoms: Neighborhood) -> Float[Tensor, "atoms components"]:
        """Return all rows, one, three or five numbers each, float64."""
        rows = []
        for name, l in self.rows.items():
            a = self.get_parameter(name).index_select(1, atoms.element)
            each = [
                (h[l] * a_t[:, None]).sum(-1) for h, a_t in zip(features.states, a, strict=True)
            ]
            rows.append(torch.stack(each).sum(0) / math.sqrt(a.shape[-1]))
        return self.values(torch.cat(rows, dim=1))

    def values(self, rows: Float[Tensor, "atoms components"]) -> Float[Tensor, "atoms components"]:
        """Return rows in the unit of the quantity, float64, as `placed` takes them.

        Rows are read off the states by PyTorch or by the native engine.
        """
        return self.scale * rows.to(torch.float64)

    def with_constants(
        self, rows: Float[Tensor, "atoms components"], element: Int[Tensor, " atoms"]
    ) -> Float[Tensor, " atoms"]:
        """Return the scalars, which are the first row, with the constants of the elements."""
        assert self.of_elements is not None
        return rows[:, 0] + self.of_elements.index_select(0, element)


class TensorHead(StateHead):
    """Scalars b_Z + s_i, vectors v_i, or symmetric matrices (b_Z + s_i) 1 + M_i, M traceless.

    A value of a system is the sum over its atoms if the quantity is extensive, else their mean.
    """

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        width: int,
        generator: torch.Generator | None = None,
        *,
        quantity: Quantity,
    ) -> None:
        """Make the head of a quantity.

        Raises
        ------
        UserError
            If no linear function of the states gives such a tensor.
        """
        if quantity.shape not in ROWS_OF or quantity.parity != (-1) ** len(quantity.shape):
            raise UserError(
                f"'{quantity.name}' has the shape {quantity.shape} and the parity"
                f" {quantity.parity:+d}: heads of states give scalars and symmetric matrices that"
                " keep their sign under inversion, and vectors that change it.",
                "model.outputs",
                "Give the quantity a head of its own, as an entry point of the group reann.heads.",
            )
        super().__init__(config, n_elements, width, generator, rows=ROWS_OF[quantity.shape])
        self.quantity = quantity

    @classmethod
    def of(cls, quantity: Quantity) -> Callable[..., TensorHead]:
        """Return what makes the head of a quantity for a configuration."""
        return partial(cls, quantity=quantity)

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms ..."]:
        """Return the values of the atoms, or what each atom adds to the value of its system."""
        del before
        found = self._tensors(values, element)
        if self.quantity.per_atom or self.quantity.extensive:
            return found
        share = 1.0 / graph.atoms_per_system.to(found.dtype)
        return found * share[graph.system].view(-1, *(1 for _ in self.quantity.shape))

    def _tensors(self, rows: Tensor, element: Tensor) -> Tensor:
        if self.quantity.shape == (3,):
            return rows
        scalars = self.with_constants(rows, element)
        if self.quantity.shape == ():
            return scalars
        five = rows[:, 1:].unbind(1)
        matrix = torch.stack(list(entries(2, five).values()), 1).unflatten(1, (3, 3))
        unit = torch.eye(3, dtype=rows.dtype, device=rows.device)
        return matrix + scalars[:, None, None] * unit


def described(heads: nn.ModuleDict) -> list[dict[str, Any]]:
    """Return the names of all weights in a state dict, and their l, head after head."""
    return [
        {"weights": f"output_heads.{name}.{row}", "l": l}
        for name, head in heads.items()
        if isinstance(head, StateHead)
        for row, l in head.rows.items()
    ]
