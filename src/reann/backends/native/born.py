"""Training on the Born effective charges of a head, Z_i,ba = dmu_b/dr_ia.

With G = dL/dZ, sum_i,a G_i,ba Z_i,ba is the derivative of the dipole mu_b along the displacement
G_b of the atoms, one for each b. The gradient of the loss is that of the sum of these derivatives,
at constant G.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann import native
from reann.backends.native.function import compute, of_inputs, remember, zero_gradients
from reann.backends.native.outputs import derivatives, quantities
from reann.backends.native.weights import MEMBER, workspace
from reann.graph import Graph
from reann.native.system import Arguments

if TYPE_CHECKING:
    from reann.backends.native.compiled import Compiled


class BornOfHead(torch.autograd.Function):
    """Derivatives of the dipole of a head by positions, as functions of the parameters.

    With y, the outputs of the engine, mu_b(y, r) changes along G_b by p . dy/dt + dmu_b/dr . G_b,
    p = dmu_b/dy: the first part is differentiated by the engine, the second one by PyTorch.
    """

    @staticmethod
    def forward(
        ctx: Any,
        compiled: Compiled,
        inputs: tuple[Graph, Arguments],
        names: list[str],
        *parameters: Tensor,
    ) -> Float[Tensor, "atoms 3 3"]:
        """Return the derivatives, e; `names` are those of the parameters."""
        remember(ctx, compiled, names, parameters)
        ctx.graph, ctx.system = inputs
        ctx.parameters = parameters
        return derivatives(compiled.source, ctx.graph, "dipole", compiled.model)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss: Tensor | None) -> tuple[Any, ...]:
        """Return the gradients of the parameters.

        Raises
        ------
        RuntimeError
            If the compiled model has been updated since.
        """
        gradients = zero_gradients(ctx)
        if loss is not None:
            y = compute(ctx.compiled.model, ctx.system, {"outputs"}).outputs
            assert y is not None
            for component in range(3):
                _add_gradients_along(ctx, y, component, loss[:, component], gradients)
        return of_inputs(ctx, gradients)


def _add_gradients_along(
    ctx: Any,
    y: Float[Tensor, "atoms outputs"],
    component: int,
    u: Float[Tensor, "atoms 3"],
    gradients: dict[str, NDArray],
) -> None:
    """Add the gradients of the derivative of a component of the dipole along a displacement."""
    needed = {
        name: parameter
        for name, parameter in zip(ctx.names, ctx.parameters, strict=True)
        if f"{MEMBER}{name}" in gradients
    }
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        r = ctx.graph.positions.detach().clone().requires_grad_()
        moved = replace(ctx.graph, positions=r)
        mu = quantities(ctx.compiled.source, moved, ctx.system.element, y)["dipole"]
        p, by_r = torch.autograd.grad(
            mu[:, component].sum(), (y, r), create_graph=True, materialize_grads=True
        )
        at_constant_y = (by_r * u).sum()

    def seeds(rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the derivatives with respect to y; adds those of parameters of the head."""
        with torch.enable_grad():
            total = at_constant_y + (p * torch.from_numpy(rates)).sum()
        if not total.requires_grad:
            return np.zeros_like(rates)
        by_y, *others = torch.autograd.grad(total, (y, *needed.values()), allow_unused=True)
        for name, slope in zip(needed, others, strict=True):
            if slope is not None:
                gradients[f"{MEMBER}{name}"] += slope.numpy()
        return np.zeros_like(rates) if by_y is None else by_y.contiguous().numpy()

    native.core().gradient(
        ctx.compiled.model,
        0,
        workspace(),
        *ctx.system,
        torch.get_num_threads(),
        None,
        (-u).contiguous().numpy(),
        None,
        gradients,
        slopes=p.detach().contiguous().numpy(),
        seeds=seeds,
        energy_slopes=np.zeros(ctx.system.n_atoms),
    )
