"""Training with structure terms that depend on outputs of the engine, such as charges.

The energy is E(r) + U(y(r), r) with the outputs y of the engine, and p = dU/dy. With e = dL/dE,
v = dL/dF, w = dL/dW and s = dL/dy, the gradient of the loss is that of

    sum_i (e_i E_i + s_i . y_i) + dE/dt + dU/dt,     dU/dt = p . dy/dt + dU/dr . dr/dt + ...,

where positions move by -v and the strain grows by w. The engine computes dy/dt in its forward pass.
PyTorch differentiates U and dU/dt with respect to y, and to its own parameters, at constant dy/dt.
The backward pass of the engine continues with these derivatives, and with p for dy/dt.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann import native
from reann.backends.native.function import (
    Computed,
    compute,
    of_inputs,
    remember,
    zero_gradients,
)
from reann.backends.native.weights import MEMBER, workspace
from reann.backends.native.whole import OF_ADJOINT, Beyond, beyond, plus, with_slopes
from reann.graph import Graph
from reann.native.system import Arguments

if TYPE_CHECKING:
    from reann.backends.native.compiled import Compiled


class DifferentiableWhole(torch.autograd.Function):
    """Energies, forces, strain derivatives and outputs as functions of the parameters.

    As `Differentiable`, for models with structure terms that depend on outputs.
    """

    @staticmethod
    def forward(
        ctx: Any,
        compiled: Compiled,
        inputs: tuple[Graph, Arguments],
        requested: Collection[str],
        names: list[str],
        *parameters: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Return the fields of `Computed`; `names` are those of the parameters."""
        remember(ctx, compiled, names, parameters)
        graph, ctx.system = inputs
        ctx.parameters, element = parameters, ctx.system.element

        def terms_of(y: Tensor) -> Beyond:
            with torch.enable_grad():
                ctx.y = y.detach().requires_grad_()
                ctx.terms = beyond(compiled.source, graph, element, ctx.y)
            return ctx.terms

        requested = set(requested)
        others = requested - OF_ADJOINT
        if OF_ADJOINT.isdisjoint(requested):
            computed = compute(compiled.model, ctx.system, others | {"outputs"})
            assert computed.outputs is not None
            terms_of(computed.outputs)
        else:
            computed, _ = with_slopes(compiled.model, ctx.system, requested, terms_of)
            if "extrapolation" in others:
                more = compute(compiled.model, ctx.system, {"extrapolation"})
                computed = computed._replace(extrapolation=more.extrapolation)
        if computed.extrapolation is not None:
            ctx.mark_non_differentiable(computed.extrapolation)
        return tuple(plus(computed, ctx.terms.detached()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *losses: Tensor | None) -> tuple[Any, ...]:
        """Return the gradients of the parameters from those of the fields of `Computed`.

        Raises
        ------
        RuntimeError
            If the compiled model has been updated since.
        """
        gradients = zero_gradients(ctx)
        of = Computed(*losses)  # pyright: ignore[reportArgumentType]

        def seeds(rates: NDArray[np.float64] | None) -> NDArray[np.float64]:
            """Return the derivatives with respect to y; adds the gradients of parameters of U."""
            by_y = _add_gradients_of_terms(ctx, of, rates, gradients)
            return (by_y if of.outputs is None else by_y + of.outputs).contiguous().numpy()

        moves = of.forces is not None or of.strain is not None
        e, v, w = (
            None if x is None else x.contiguous().numpy()
            for x in (of.energies, of.forces, of.strain)
        )
        native.core().gradient(
            ctx.compiled.model,
            0,
            workspace(),
            *ctx.system,
            torch.get_num_threads(),
            e,
            v,
            w,
            gradients,
            None if moves else seeds(None),
            slopes=ctx.terms.by_output.detach().contiguous().numpy() if moves else None,
            seeds=seeds if moves else None,
        )
        return of_inputs(ctx, gradients)


def _add_gradients_of_terms(
    ctx: Any,
    of: Computed,
    rates: NDArray[np.float64] | None,
    gradients: dict[str, NDArray],
) -> Tensor:
    """Return the derivatives of e . U + dU/dt with respect to y; add those of the parameters."""
    terms: Beyond = ctx.terms
    pairs = [
        (terms.energies, of.energies),
        (terms.by_output, None if rates is None else torch.from_numpy(rates)),
        (terms.by_position, None if of.forces is None else -of.forces),
        (terms.by_strain, of.strain),
    ]
    used = [
        (x, loss) for x, loss in pairs if loss is not None and x is not None and x.requires_grad
    ]
    if not used:
        return torch.zeros_like(ctx.y)
    results, seeds = zip(*used, strict=True)
    needed = [
        (n, p)
        for n, p in zip(ctx.names, ctx.parameters, strict=True)
        if f"{MEMBER}{n}" in gradients
    ]
    by_y, *others = torch.autograd.grad(
        results,
        [ctx.y, *(p for _, p in needed)],
        seeds,
        retain_graph=True,
        allow_unused=True,
    )
    for (name, _), slope in zip(needed, others, strict=True):
        if slope is not None:
            gradients[f"{MEMBER}{name}"] += slope.numpy()
    return torch.zeros_like(ctx.y) if by_y is None else by_y
