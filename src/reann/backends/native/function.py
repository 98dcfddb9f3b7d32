"""Training: outputs of the native engine that PyTorch can differentiate for the parameters.

The backward is one call. With v = dL/dF and w = dL/dW the gradient of the loss is that of
sum_i e_i E_i + sum_ij g_ij . u_ij,  u_ij = -(v_j - v_i) + r_ij . w: one tangent per edge, and
no graph is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann import native
from reann.backends.native.weights import MEMBER, workspace
from reann.native.system import Arguments

if TYPE_CHECKING:
    from reann.backends.native.compiled import Compiled

Outputs = tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]
"""Energies (atoms,) eV, forces (atoms, 3) eV/Å, strain derivative (structures, 3, 3) eV, and the
extrapolation (atoms,)."""


def compute(
    model: Any,
    system: Arguments,
    *,
    forces: bool = False,
    strain: bool = False,
    virials: bool = False,
    extrapolation: bool = False,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Return energies, and as far as wanted forces, strain derivative, virials, extrapolation."""
    n = system.n_atoms
    energies = torch.empty(n, dtype=torch.float64)
    force = torch.empty(n, 3, dtype=torch.float64) if forces else None
    w = torch.empty(system.n_structures, 3, 3, dtype=torch.float64) if strain else None
    each = torch.empty(n, 3, 3, dtype=torch.float64) if virials else None
    outside = torch.empty(n, dtype=torch.float64) if extrapolation else None
    native.core().evaluate(
        model,
        0,
        workspace(),
        *system,
        torch.get_num_threads(),
        energies.numpy(),
        *(None if x is None else x.numpy() for x in (force, w, each, outside)),
    )
    return energies, force, w, each, outside


class Differentiable(torch.autograd.Function):
    """Energies, forces and strain derivatives as functions of the parameters.

    Every parameter gets a gradient, zeros where the loss does not depend on it. Positions, cells
    and buffers get none, and there is no second derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,
        compiled: Compiled,
        system: Arguments,
        wanted: tuple[bool, bool, bool],
        names: list[str],
        *parameters: Tensor,
    ) -> Outputs:
        """Compute; `wanted`: forces, strain derivative, extrapolation; `names`: of parameters."""
        ctx.compiled, ctx.n_updates = compiled, compiled.n_updates
        ctx.system, ctx.names = system, names
        ctx.kinds = [(p.shape, p.dtype) for p in parameters]
        ctx.set_materialize_grads(False)
        energies, forces, w, _, outside = compute(
            compiled.model, system, forces=wanted[0], strain=wanted[1], extrapolation=wanted[2]
        )
        if outside is not None:
            ctx.mark_non_differentiable(outside)
        return energies, forces, w, outside

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *losses: Tensor | None) -> tuple[Any, ...]:
        """Return the gradients of the parameters from dL/dE_i, dL/dF_i and dL/dW.

        Raises
        ------
        RuntimeError
            If the compiled model has been updated since.
        """
        if ctx.compiled.n_updates != ctx.n_updates:
            raise RuntimeError(
                "Weights were updated after these properties were computed: call backward before."
            )
        asked = ctx.needs_input_grad[4:]
        gradients: dict[str, NDArray] = {
            f"{MEMBER}{name}": np.zeros(tuple(shape))
            for name, (shape, _), needed in zip(ctx.names, ctx.kinds, asked, strict=True)
            if needed
        }
        losses = losses[:3]  # the extrapolation has no gradient
        if any(loss is not None for loss in losses):
            native.core().gradient(
                ctx.compiled.model,
                0,
                workspace(),
                *ctx.system,
                torch.get_num_threads(),
                *(None if x is None else x.contiguous().numpy() for x in losses),
                gradients,
            )
        found = (
            torch.from_numpy(gradients[f"{MEMBER}{name}"]).to(dtype) if needed else None
            for name, (_, dtype), needed in zip(ctx.names, ctx.kinds, asked, strict=True)
        )
        return (None, None, None, None, *found)
