"""Heads that compute scalars, vectors and matrices from the states of equivariant messages.

The rows of an atom are linear in its states in all layers,

    row_i^l = sum_t a_Z^(t,l) . h_i^(t,l) / sqrt(K),

and become values with charges, masses or the number of atoms (`placed`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple

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
"""The l of the rows for a value of each shape, by the name of their weights."""


class Linear(NamedTuple):
    """Linear function from rows to values."""

    matrix: Float[Tensor, "rows values"]
    constants: Float[Tensor, "elements values"]

    def __call__(
        self, rows: Float[Tensor, "atoms rows"], element: Int[Tensor, " atoms"]
    ) -> Float[Tensor, "atoms values"]:
        """Return the values, float64."""
        constants = self.constants.index_select(0, element)
        return torch.addmm(constants, rows.to(torch.float64), self.matrix)


class StateHead(OutputHead):
    """Rows of atoms that are linear in their states, initially zero.

    Attributes
    ----------
    rows
        The l of each row, by the name of its weights a, (layers, elements, channels); by default
        those of the class.
    scale
        Scale of the rows, float64; initially the standard deviation of the labels.
    of_elements
        Constants of the scalars of each element, (elements,), float64; initially zero.
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
        self.rows, self.n_elements = dict(rows or self.ROWS), n_elements
        shape = config.n_recursions + 1, n_elements, config.channels
        for name in self.rows:
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        constants = nn.Parameter(torch.zeros(n_elements, dtype=torch.float64))
        self.register_parameter("of_elements", constants if 0 in self.rows.values() else None)

    def forward(self, features: Features, atoms: Neighborhood) -> Float[Tensor, "atoms values"]:
        """Return the values of the atoms, float64."""
        rows = []
        for name, l in self.rows.items():
            a = self.get_parameter(name).index_select(1, atoms.element)
            each = [
                (h[l] * a_t[:, None]).sum(-1) for h, a_t in zip(features.states, a, strict=True)
            ]
            rows.append(torch.stack(each).sum(0) / math.sqrt(a.shape[-1]))
        return self.linear()(torch.cat(rows, dim=1), atoms.element)

    @property
    def basis_values(self) -> Float[Tensor, "rows values"]:
        """Values of each row alone, in units of the scale."""
        width = sum(2 * l + 1 for l in self.rows.values())
        return torch.eye(width, dtype=torch.float64, device=self.scale.device)

    def linear(self) -> Linear:
        """Return the function from rows to values; rows are multiplied by the scale.

        Constants of the elements are added to the scalars, the first row.
        """
        basis = self.basis_values
        if self.of_elements is None:
            constants = basis.new_zeros(self.n_elements, basis.shape[1])
        else:
            constants = torch.outer(self.of_elements, basis[0])
        return Linear(self.scale * basis, constants)


class TensorHead(StateHead):
    """Scalars b_Z + s_i, vectors v_i, or symmetric matrices (b_Z + s_i) 1 + M_i, M traceless.

    The value of a system is the sum over its atoms if the quantity is extensive, else the mean.
    """

    basis: Tensor | None

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        width: int,
        generator: torch.Generator | None = None,
        *,
        quantity: Quantity,
    ) -> None:
        """Create the head of a quantity.

        Raises
        ------
        UserError
            If no linear function of the states gives such a tensor.
        """
        if quantity.shape not in ROWS_OF or quantity.parity != (-1) ** len(quantity.shape):
            raise UserError(
                f"'{quantity.name}' has the shape {quantity.shape} and the parity"
                f" {quantity.parity:+d}: heads of states support scalars and symmetric matrices"
                " that keep their sign under inversion, and vectors that change it.",
                "model.outputs",
                "Register a head for the quantity by an entry point of the group reann.heads.",
            )
        rows = self.ROWS or ROWS_OF[quantity.shape]
        super().__init__(config, n_elements, width, generator, rows=rows)
        self.quantity = quantity
        basis = matrix_basis() if quantity.shape == (3, 3) else None
        self.register_buffer("basis", basis, persistent=False)

    @classmethod
    def of(cls, quantity: Quantity) -> Callable[..., TensorHead]:
        """Return the constructor of the head of a quantity."""
        return partial(cls, quantity=quantity)

    @property
    def basis_values(self) -> Float[Tensor, "rows values"]:
        """Scalars, vectors or flat matrices of each row alone, in units of the scale."""
        return super().basis_values if self.basis is None else self.basis

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms ..."]:
        """Return the values of the atoms, or their contributions to the values of systems."""
        del element, before
        results = values.unflatten(1, self.quantity.shape) if self.quantity.shape else values[:, 0]
        if self.quantity.per_atom or self.quantity.extensive:
            return results
        share = 1.0 / graph.atoms_per_system.to(results.dtype)
        return results * share[graph.system].view(-1, *(1 for _ in self.quantity.shape))


def matrix_basis() -> Float[Tensor, "six nine"]:
    """Return the unit matrix and the five traceless basis matrices, flat."""
    five = torch.eye(5, dtype=torch.float64)
    traceless = torch.stack(list(entries(2, five.unbind()).values()), dim=1)
    return torch.cat([torch.eye(3, dtype=torch.float64).reshape(1, 9), traceless])


def linear_of(heads: Iterable[StateHead]) -> tuple[Linear, list[int]]:
    """Return the function from the rows of several heads to their values, and the rows of each."""
    each = [head.linear() for head in heads]
    matrix = torch.block_diag(*(row.matrix for row in each))
    constants = torch.cat([row.constants for row in each], dim=1)
    return Linear(matrix, constants), [row.matrix.shape[1] for row in each]


def described(heads: nn.ModuleDict) -> list[dict[str, Any]]:
    """Return the names of all weights in a state dict, and their l, head after head."""
    return [
        {"weights": f"output_heads.{name}.{row}", "l": l}
        for name, head in heads.items()
        if isinstance(head, StateHead)
        for row, l in head.rows.items()
    ]
