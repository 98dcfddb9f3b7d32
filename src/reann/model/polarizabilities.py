"""Polarizability of atoms that polarize each other.

With atomic polarizabilities alpha_i from the states, a field E induces the dipoles

    p_i = alpha_i (E + sum_j T_ij p_j),

in which the field of all other dipoles acts on each atom, and the polarizability of the structure
is dP/dE of P = sum_i p_i (Applequist, Carl, Fung, J. Am. Chem. Soc. 94, 2952 (1972)). Induction
reaches beyond the cutoff, and across molecules that share no neighbors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann.electrostatics.dipoles import dipole_tensors
from reann.electrostatics.smeared import periodic
from reann.graph import Graph
from reann.model.state_heads import TensorHead

SMEARING = 1.0
"""Width sigma of the interaction in Å. It must be so large that close atoms do not polarize each
other without limit: two atoms of equal polarizability up to 12 Å^3, at any distance."""


class InteractingPolarizability(TensorHead):
    """Polarizability in Å^3 of interacting atoms; of a crystal, its response to the mean field.

    With dielectric tensor epsilon and volume V, that of a crystal is (epsilon - 1) V / (4 pi).
    """

    # Names of their own, so that programs that sum rows over the atoms do not take them for values.
    ROWS: ClassVar[Mapping[str, int]] = {"isotropic": 0, "anisotropic": 2}

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms 3 3"]:
        """Return equal parts of the polarizability of the structure for each of its atoms.

        Raises
        ------
        UserError
            For a system that is periodic in one or two directions only.
        """
        alpha = super().placed(values, graph, element, before)
        sizes: list[int] = graph.atoms_per_system.tolist()
        parts = zip(
            alpha.split(sizes),
            graph.positions.split(sizes),
            graph.cell,
            periodic(graph).tolist(),
            strict=True,
        )
        each = []
        for alpha_i, r, cell, is_periodic in parts:
            T = dipole_tensors(r, cell if is_periodic else None, SMEARING)
            response = Response.apply(alpha_i, T)
            each.append((response / max(len(r), 1)).expand(len(r), 3, 3))
        return torch.cat(each)


class Response(torch.autograd.Function):
    """Polarizability of atoms with the interaction T.

    The polarizability is stationary with respect to the dipoles. With the local fields
    f_i = E + sum_j T_ij p_j per unit field, it changes by
    sum_i f_i^T dalpha_i f_i + sum_ij p_i^T dT_ij p_j.
    """

    @staticmethod
    def forward(
        ctx: Any, alpha: Float[Tensor, "atoms 3 3"], T: Float[Tensor, "atoms 3 atoms 3"]
    ) -> Float[Tensor, "3 3"]:
        """Return the polarizability, symmetric."""
        n = len(alpha)
        field = torch.eye(3).to(alpha).repeat(n, 1)
        product = (alpha @ T.reshape(n, 3, 3 * n)).reshape(3 * n, 3 * n)
        matrix = torch.eye(3 * n).to(alpha) - product
        p = torch.linalg.solve(matrix, alpha.reshape(3 * n, 3))
        f = field + T.reshape(3 * n, 3 * n) @ p
        ctx.save_for_backward(p.view(n, 3, 3), f.view(n, 3, 3))
        total = field.T @ p
        return 0.5 * (total + total.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the gradients of the atomic polarizabilities and of the interaction."""
        (gradient,) = gradients
        p, f = ctx.saved_tensors
        weights = 0.5 * (gradient + gradient.T)
        of_T = torch.einsum("iac,cd,jbd->iajb", p, weights, p) if ctx.needs_input_grad[1] else None
        return f @ weights @ f.transpose(1, 2), of_T
