"""Training on second derivatives of the energy of a model with electric fields.

The engine differentiates d^2E/dt^2 along a displacement of the atoms and a change of the field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from reann import native
from reann.backends.native.weights import workspace
from reann.native.system import Arguments
from reann.units import COULOMB

if TYPE_CHECKING:
    from reann.backends.native.function import Field

STIFFNESS = 0.06
"""V/Å per Å, about: a displacement and a field with this ratio change the energy equally."""


def add_gradients_of_polarizability(
    model: Any,
    system: Arguments,
    field: Field,
    loss: Float[Tensor, "structures 3 3"],
    gradients: dict[str, NDArray],
) -> None:
    """Add the gradients of the parameters from that of the polarizabilities.

    With dL/dalpha = sum_k w_k n_k n_k^T they are those of -sum_k w_k d^2E/dt^2, in the fields
    F + t n_k.
    """
    weights, directions = torch.linalg.eigh(-0.5 * COULOMB * (loss + loss.mT))
    for weight, direction in zip(weights.unbind(1), directions.unbind(2), strict=True):
        if weight.any():
            native.core().curvature_gradient(
                model,
                0,
                workspace(),
                *system,
                torch.get_num_threads(),
                field,
                None,
                direction.contiguous().numpy(),
                weight.contiguous().numpy(),
                gradients,
            )


def add_gradients_of_born(
    model: Any,
    system: Arguments,
    field: Field,
    loss: Float[Tensor, "atoms 3 3"],
    gradients: dict[str, NDArray],
) -> None:
    """Add the gradients of the parameters from G = dL/dZ, Z_i,ba = -d^2E / dF_b dr_ia.

    For each b, sum_i,a G_i,ba Z_i,ba is minus the derivative of the energy along the displacement
    u = G_b and the direction n of F_b: a quarter of the second derivative along (u, n), minus a
    quarter of that along (u, -n).
    """
    structure = np.zeros(len(loss), np.int32) if system.structure is None else system.structure
    for component in range(3):
        u = loss[:, component].numpy()
        size = np.sqrt(np.bincount(structure, (u**2).sum(1), system.n_structures))
        # Both parts of similar size, so that little is lost in the difference.
        factor = np.sqrt(STIFFNESS / np.where(size > 0, size, STIFFNESS))
        along = np.zeros((system.n_structures, 3))
        along[:, component] = 1.0 / factor
        for sign in (1.0, -1.0):
            native.core().curvature_gradient(
                model,
                0,
                workspace(),
                *system,
                torch.get_num_threads(),
                field,
                factor[structure][:, None] * u,
                sign * along,
                np.full(system.n_structures, -0.25 * sign),
                gradients,
            )
