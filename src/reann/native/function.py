"""Training: outputs of the native engine that PyTorch can differentiate for the parameters.

The backward is one call. With v = dL/dF and w = dL/dW the gradient of the loss is that of
sum_i e_i E_i + sum_ij g_ij . u_ij,  u_ij = -(v_j - v_i) + r_ij . w: one tangent per edge, and
no graph is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann import native
from reann.native.system import System
from reann.native.weights import MEMBER, Compiled, workspace

Outputs = tuple[Tensor, Tensor | None, Tensor | None]
"""Energies (atoms,) eV, forces (atoms, 3) eV/Å, strain derivative (structures, 3, 3) eV."""


def compute(
    compiled: Compiled, system: System, *, forces: bool, strain: bool, virials: bool = False
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Return energies, and as far as wanted forces, strain derivative and virials per atom."""
    n = system.n_atoms
    energies = torch.empty(n, dtype=torch.float64)
    force = torch.empty(n, 3, dtype=torch.float64) if forces else None
    w = torch.empty(system.n_structures, 3, 3, dtype=torch.float64) if strain else None
    each = torch.empty(n, 3, 3, dtype=torch.float64) if virials else None
    native.core().evaluate(
        compiled.model,
        0,
        workspace(),
        *system.arguments(),
        torch.get_num_threads(),
        energies.numpy(),
        *(None if x is None else x.numpy() for x in (force, w, each)),
    )
    return energies, force, w, each


class Differentiable(torch.autograd.Function):
    """Energies, forces and strain derivatives as functions of the parameters.

    Every parameter gets a gradient, zeros where the loss does not depend on it. Positions, cells
    and buffers get none, and there is no second derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,
        compiled: Compiled,
        system: System,
        wanted: tuple[bool, bool],
        names: list[str],
        *parameters: Tensor,
    ) -> Outputs:
        """Compute; `wanted` are forces and strain derivative, `names` those of the parameters."""
        ctx.compiled, ctx.system, ctx.names = compiled, system, names
        ctx.kinds = [(p.shape, p.dtype) for p in parameters]
        ctx.set_materialize_grads(False)
        return compute(compiled, system, forces=wanted[0], strain=wanted[1])[:3]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *losses: Tensor | None) -> tuple[Any, ...]:
        """Return the gradients of the parameters from dL/dE_i, dL/dF_i and dL/dW."""
        asked = ctx.needs_input_grad[4:]
        gradients: dict[str, NDArray] = {
            f"{MEMBER}{name}": np.zeros(tuple(shape))
            for name, (shape, _), needed in zip(ctx.names, ctx.kinds, asked, strict=True)
            if needed
        }
        if any(loss is not None for loss in losses):
            native.core().gradient(
                ctx.compiled.model,
                0,
                workspace(),
                *ctx.system.arguments(),
                torch.get_num_threads(),
                *(None if x is None else x.contiguous().numpy() for x in losses),
                gradients,
            )
        found = (
            torch.from_numpy(gradients[f"{MEMBER}{name}"]).to(dtype) if needed else None
            for name, (_, dtype), needed in zip(ctx.names, ctx.kinds, asked, strict=True)
        )
        return (None, None, None, None, *found)
