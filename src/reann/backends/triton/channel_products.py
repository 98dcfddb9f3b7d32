"""Products of moments as functions of PyTorch, with the derivatives for training on forces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann.backends.triton import channel_kernels as kernels
from reann.backends.triton.neighbor_sums import Needed
from reann.backends.triton.recipe import Recipe
from reann.backends.triton.source import launch


@dataclass(frozen=True)
class Multiplied:
    """Products to compute: `make` returns a function of a channel."""

    make: Recipe
    channels: int
    real: str
    n_scalars: int
    n_tensors: int


@dataclass(frozen=True, eq=False)
class Fixed:
    """Arguments that are the same in all passes.

    Attributes
    ----------
    element
        Index of the element of each atom, ascending.
    counts
        Number of atoms of each element.
    """

    multiplied: Multiplied
    element: Int[Tensor, " atoms"]
    counts: list[int]
    needed: Needed

    def run(self, kernel: Any, moments: Tensor, weights: Tensor | None, *others: Tensor) -> None:
        """Start a kernel."""
        n = moments.shape[1]
        programs = -(-n // kernels.atoms_of_tile(self.multiplied.channels))
        tables = [] if weights is None else [self.element, weights]
        launch(kernel, programs, *tables, moments, *others, n)


def channel_products(
    fixed: Fixed,
    moments: Float[Tensor, "components atoms channels"],
    weights: Float[Tensor, "elements weighted channels"] | None = None,
) -> tuple[Float[Tensor, "atoms products channels"], Float[Tensor, "results atoms channels"]]:
    """Return the scalar products, and the components of the weighted sums of the others."""
    return Products.apply(fixed, moments, weights)


class Products(torch.autograd.Function):
    """Products of moments, and weighted sums of products."""

    @staticmethod
    def forward(
        ctx: Any, fixed: Fixed, moments: Tensor, weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return scalars and tensors."""
        ctx.fixed = fixed
        ctx.save_for_backward(moments, weights)
        return _values(fixed, moments, weights, None)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivatives of the sum of results times bars."""
        moments, weights = ctx.saved_tensors
        return (None, *ProductSlopes.apply(ctx.fixed, moments, weights, *bars))


class ProductSlopes(torch.autograd.Function):
    """Derivatives of results times weights by moments, and by the weights of the sums."""

    @staticmethod
    def forward(ctx: Any, fixed: Fixed, *tensors: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return both derivatives; the second only if gradients of parameters are needed.

        The tensors are moments, weights and the bars of both results.
        """
        moments, weights, *bars = tensors
        assert moments is not None
        ctx.fixed = fixed
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        needed = fixed.needed.parameters and weights is not None
        return _slopes(fixed, moments, weights, None, bars, of_weights=needed)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, rates: Tensor | None, of_weights: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Return derivatives of the derivatives along rates of the moments."""
        del of_weights  # has no second derivative
        moments, weights, *bars = ctx.saved_tensors
        if rates is None:
            return (None,) * 5
        rates = rates.contiguous()
        of_bars = _values(ctx.fixed, moments, weights, rates)
        needed = weights is not None and ctx.needs_input_grad[2]
        slopes = _slopes(ctx.fixed, moments, weights, rates, bars, of_weights=needed)
        return (None, *slopes, *of_bars)


def _values(
    fixed: Fixed, moments: Tensor, weights: Tensor | None, rates: Tensor | None
) -> tuple[Tensor, Tensor]:
    (_, n, K), form = moments.shape, fixed.multiplied
    scalars = moments.new_empty(n, form.n_scalars, K)
    tensors = moments.new_empty(form.n_tensors, n, K)
    kernel = kernels.values(form.make, K, form.real, moving=rates is not None)
    arrays = [] if rates is None else [rates]
    fixed.run(kernel, moments, weights, *arrays, scalars, *([tensors] if form.n_tensors else []))
    return scalars, tensors


def _slopes(
    fixed: Fixed,
    moments: Tensor,
    weights: Tensor | None,
    rates: Tensor | None,
    bars: Sequence[Tensor | None],
    *,
    of_weights: bool,
) -> tuple[Tensor, Tensor | None]:
    (_, n, K), form = moments.shape, fixed.multiplied
    kernel = kernels.slopes(
        form.make, K, form.real, moving=rates is not None, of_weights=of_weights
    )
    arrays = [] if rates is None else [rates]
    arrays += [bar.contiguous() for bar in bars[: 2 if form.n_tensors else 1] if bar is not None]
    of_moments = torch.empty_like(moments)
    arrays.append(of_moments)
    if not of_weights or weights is None:
        fixed.run(kernel, moments, weights, *arrays)
        return of_moments, None
    each = moments.new_empty(weights.shape[1], n, K)
    fixed.run(kernel, moments, weights, *arrays, each)
    by_element = [x.sum(1, dtype=torch.float64) for x in each.split(fixed.counts, dim=1)]
    return of_moments, torch.stack(by_element).to(weights.dtype)
