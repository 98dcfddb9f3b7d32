"""Charges that flow until all atoms of a structure have one chemical potential.

They minimize

    E(q) = sum_i (chi_i q_i + J_i q_i^2 / 2) + U(q),      sum_i q_i = Q

with the electronegativities chi_i, and U of `smeared`. J_i is the hardness of an atom and the
energy of its Gaussian, J_i = h_i + sqrt(2 / pi) / (4 pi eps_0 sigma) with h_i > 0, and E has one
minimum. Rappe, Goddard, J. Phys. Chem. 95, 3358 (1991); Ghasemi, Hofstetter, Saha, Goedecker,
Phys. Rev. B 92, 045131 (2015).

The minimum is the solution of A q + chi = lambda, A = J + V; see `balance`. Because E is minimal,
its derivatives are those at fixed charges and need no further solution. Slopes of the charges
themselves are -A^-1 times those of A q + chi, without what would change the total charge.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from reann.electrostatics.balance import balance_of
from reann.electrostatics.ewald import self_potential
from reann.electrostatics.smeared import periodic, smeared_potentials
from reann.graph import Graph
from reann.units import COULOMB


def equilibrated(
    chi: Float[Tensor, " atoms"],
    hardness: Float[Tensor, " atoms"],
    graph: Graph,
    sigma: float,
) -> Float[Tensor, " atoms"]:
    """Return the charges of all atoms in e.

    They have gradients with respect to chi and the hardness, and to positions and cells of the
    graph if these require one. Second derivatives are those of a linear response.

    Parameters
    ----------
    chi
        Electronegativities, V.
    hardness
        h > 0, V/e.
    sigma
        Å.

    Raises
    ------
    UserError
        For systems that are periodic in one or two directions only, and if the charges do not
        converge.
    """
    diagonal = hardness + COULOMB * self_potential(sigma)
    with torch.no_grad():
        solver = _Solver(diagonal.detach(), graph, sigma)
        q = solver.balanced(-chi.detach(), graph.charges())
    # A q + chi less its own value: zero, with the gradients of what the charges follow.
    potential = chi + diagonal * q
    if graph.positions.requires_grad or graph.cell.requires_grad:
        potential = potential + smeared_potentials(q, graph.positions, graph.cell, graph, sigma)
    if not potential.requires_grad:
        return q
    return q - _response(potential - potential.detach(), solver)


def _response(b: Float[Tensor, " atoms"], solver: _Solver) -> Float[Tensor, " atoms"]:
    x = _Response.apply(b, solver)
    assert isinstance(x, Tensor)
    return x


class _Response(torch.autograd.Function):
    """Solutions x of A x = b + lambda with sum x = 0: linear in b, and symmetric."""

    @staticmethod
    def forward(ctx: Any, b: Tensor, solver: _Solver) -> Tensor:
        """Return x."""
        ctx.solver = solver
        if not b.any():  # where only the gradient is needed
            return torch.zeros_like(b)
        return solver.balanced(b, b.new_zeros(len(solver.systems)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of b."""
        return _response(gradients[0], ctx.solver), None


class _Solver:
    """The solutions of the systems of a batch."""

    def __init__(self, diagonal: Float[Tensor, " atoms"], graph: Graph, sigma: float) -> None:
        self.sizes: list[int] = graph.atoms_per_system.tolist()
        J, positions = (x.detach().split(self.sizes) for x in (diagonal, graph.positions))
        parts = zip(J, positions, graph.cell.detach(), periodic(graph).tolist(), strict=True)
        self.systems = [
            balance_of(J, r, cell if full else None, sigma) for J, r, cell, full in parts
        ]

    def balanced(
        self, b: Float[Tensor, " atoms"], total: Float[Tensor, " systems"]
    ) -> Float[Tensor, " atoms"]:
        """Return x with A x = b + lambda and given sums of x, lambda a constant of each system."""
        parts = zip(self.systems, b.split(self.sizes), total, strict=True)
        return torch.cat([system.balanced(part, sum_) for system, part, sum_ in parts])
