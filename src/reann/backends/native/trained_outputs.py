"""Training: quantities of heads from the rows of the engine, differentiable.

For the common heads, one node of the graph of PyTorch replaces several dozens of small operations.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann.backends.native.numbers import Numbers
from reann.backends.native.outputs import quantities
from reann.graph import Graph
from reann.model import Reann
from reann.model.state_heads import StateHead


def trained_quantities(
    model: Reann,
    graph: Graph,
    element: NDArray[np.int32],
    outputs: Float[Tensor, "atoms outputs"],
    names: Collection[str],
) -> dict[str, Tensor]:
    """Return quantities as functions of the rows and of the constants of the elements.

    Without uncommon heads, there are no derivatives with respect to positions, and no second
    derivatives. See `outputs.quantities`.
    """
    numbers = Numbers.of(model)
    if numbers is None:
        return quantities(model, graph, element, outputs)
    requested = [name for name in numbers.parts if name in names]
    heads = (cast("StateHead", head) for head in model.output_heads.values())
    constants = (head.of_elements for head in heads)
    inputs = numbers, graph, element, requested
    results = _Quantities.apply(inputs, outputs, *constants)
    return dict(zip(requested, results, strict=True))  # pyright: ignore[reportArgumentType]


class _Quantities(torch.autograd.Function):
    """The common heads, by numpy."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: tuple[Numbers, Graph, NDArray[np.int32], list[str]],
        outputs: Tensor,
        *constants: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """Return the requested quantities; the constants are already in the numbers."""
        numbers, graph, element, requested = ctx.inputs = inputs
        ctx.has_constants = [x is not None for x in constants]
        ctx.set_materialize_grads(False)
        results = numbers.quantities(graph, element, outputs.detach(), requested)
        return tuple(results[name] for name in requested)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *losses: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the derivatives with respect to the rows and to the constants of each head."""
        numbers, graph, element, requested = ctx.inputs
        of_results = {
            name: loss.numpy()
            for name, loss in zip(requested, losses, strict=True)
            if loss is not None
        }
        by_outputs, by_constants = numbers.adjoint(graph, element, of_results)
        of_heads = (
            torch.from_numpy(x) if is_there else None
            for x, is_there in zip(by_constants.values(), ctx.has_constants, strict=True)
        )
        return None, torch.from_numpy(by_outputs), *of_heads
