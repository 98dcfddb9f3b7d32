"""Products of moments that PyTorch differentiates, up to what a training on forces needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann.backends.triton import channel_kernels as kernels
from reann.backends.triton.neighbor_sums import Wanted
from reann.backends.triton.recipe import Recipe
from reann.backends.triton.source import launch


@dataclass(frozen=True)
class Multiplied:
    """What is computed: `make` returns a function of a channel."""

    make: Recipe
    channels: int
    real: str
    n_scalars: int
    n_tensors: int


@dataclass(frozen=True, eq=False)
class Given:
    """What is the same in all passes.

    Attributes
    ----------
    element
        Index of the element of each atom, ascending.
    counts
        Atoms of each element.
    """

    multiplied: Multiplied
    element: Int[Tensor, " atoms"]
    counts: list[int]
    wanted: Wanted

    def run(self, kernel: Any, moments: Tensor, weights: Tensor | None, *others: Tensor) -> None:
        """Start a kernel."""
        n = moments.shape[1]
        programs = -(-n // kernels.atoms_of_tile(self.multiplied.channels))
        own = [] if weights is None else [self.element, weights]
        launch(kernel, programs, *own, moments, *others, n)


def channel_products(
    given: Given,
    moments: Float[Tensor, "components atoms channels"],
    weights: Float[Tensor, "elements weighted channels"] | None = None,
) -> tuple[Float[Tensor, "atoms products channels"], Float[Tensor, "results atoms channels"]]:
    """Return the scalar products, and the components of the weighted sums of the others."""
    return Products.apply(given, moments, weights)


class Products(torch.autograd.Function):
    """The products."""

    @staticmethod
    def forward(
        ctx: Any, given: Given, moments: Tensor, weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return scalars and tensors."""
        ctx.given = given
        ctx.save_for_backward(moments, weights)
        return _values(given, moments, weights, None)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivatives of the sum of results times bars."""
        moments, weights = ctx.saved_tensors
        return (None, *ProductSlopes.apply(ctx.given, moments, weights, *bars))


class ProductSlopes(torch.autograd.Function):
    """Derivatives of results times weights by moments, and by the weights of the sums."""

    @staticmethod
    def forward(ctx: Any, given: Given, *tensors: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return both, the second only where gradients of parameters are wanted.

        The tensors are moments, weights and the bars of both results.
        """
        moments, weights, *bars = tensors
        assert moments is not None
        ctx.given = given
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        wanted = given.wanted.parameters and weights is not None
        return _slopes(given, moments, weights, None, bars, of_weights=wanted)

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
        of_bars = _values(ctx.given, moments, weights, rates)
        wanted = weights is not None and ctx.needs_input_grad[2]
        slopes = _slopes(ctx.given, moments, weights, rates, bars, of_weights=wanted)
        return (None, *slopes, *of_bars)


def _values(
    given: Given, moments: Tensor, weights: Tensor | None, rates: Tensor | None
) -> tuple[Tensor, Tensor]:
    (_, n, K), made = moments.shape, given.multiplied
    scalars = moments.new_empty(n, made.n_scalars, K)
    tensors = moments.new_empty(made.n_tensors, n, K)
    kernel = kernels.values(made.make, K, made.real, moving=rates is not None)
    own = [] if rates is None else [rates]
    given.run(kernel, moments, weights, *own, scalars, *([tensors] if made.n_tensors else []))
    return scalars, tensors


def _slopes(
    given: Given,
    moments: Tensor,
    weights: Tensor | None,
    rates: Tensor | None,
    bars: Sequence[Tensor | None],
    *,
    of_weights: bool,
) -> tuple[Tensor, Tensor | None]:
    (_, n, K), made = moments.shape, given.multiplied
    kernel = kernels.slopes(
        made.make, K, made.real, moving=rates is not None, of_weights=of_weights
    )
    own = [] if rates is None else [rates]
    own += [bar.contiguous() for bar in bars[: 2 if made.n_tensors else 1] if bar is not None]
    of_moments = torch.empty_like(moments)
    own.append(of_moments)
    if not of_weights or weights is None:
        given.run(kernel, moments, weights, *own)
        return of_moments, None
    each = moments.new_empty(weights.shape[1], n, K)
    given.run(kernel, moments, weights, *own, each)
    by_element = [x.sum(1, dtype=torch.float64) for x in each.split(given.counts, dim=1)]
    return of_moments, torch.stack(by_element).to(weights.dtype)
