"""Charges that flow until all atoms of a structure have one chemical potential.

They minimize

    E(q) = sum_i (chi_i q_i + J_i q_i^2 / 2) + U(q),      sum_i q_i = Q

with the electronegativities chi_i, and U of `smeared`. J_i is the hardness of an atom and the
energy of its Gaussian, J_i = h_i + sqrt(2 / pi) / (4 pi eps_0 sigma) with h_i > 0, and E has one
minimum. Rappe, Goddard, J. Phys. Chem. 95, 3358 (1991); Ghasemi, Hofstetter, Saha, Goedecker,
Phys. Rev. B 92, 045131 (2015).

The minimum is the solution of A q + chi = lambda, A = J + V. For up to `DENSE` atoms A is
factorized, for more there are conjugate gradients. Because E is at its minimum, its slopes are
those at fixed charges; slopes of the charges themselves are -A^-1 times those of A q + chi, without
what would change the total charge.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from reann.electrostatics.direct import direct_potentials, interactions
from reann.electrostatics.ewald import ewald_matrix, self_potential
from reann.electrostatics.mesh import Mesh
from reann.electrostatics.smeared import periodic, smeared_potentials
from reann.errors import UserError
from reann.graph import Graph
from reann.units import COULOMB

DENSE = 300
"""Number of atoms of all systems of a batch up to which A is a matrix in memory."""
CONVERGED = 1e-9
"""V: largest difference of chemical potentials after conjugate gradients."""
MOST_STEPS = 1000
"""Of conjugate gradients."""


def equilibrated(
    chi: Float[Tensor, " atoms"],
    hardness: Float[Tensor, " atoms"],
    graph: Graph,
    sigma: float,
) -> Float[Tensor, " atoms"]:
    """Return the charges of all atoms in e.

    They carry gradients of chi and of the hardness, and of positions and cells of the graph where
    these require one. Second derivatives are those of a linear response.

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
        form = _Dense if graph.n_atoms <= DENSE else _Iterative
        solver = form(diagonal.detach(), graph, sigma)
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
        return solver.balanced(b, b.new_zeros(solver.graph.n_systems))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of b."""
        return _response(gradients[0], ctx.solver), None


class _Solver:
    """The matrix A of the atoms of a batch: its systems are blocks."""

    def __init__(self, diagonal: Float[Tensor, " atoms"], graph: Graph, sigma: float) -> None:
        self.diagonal, self.graph, self.full = diagonal, graph, periodic(graph)
        self.crystals = [
            torch.nonzero(graph.system == system)[:, 0]
            for system in torch.nonzero(self.full)[:, 0].tolist()
        ]
        self.positions, self.sigma = graph.positions.detach(), sigma

    def balanced(
        self, b: Float[Tensor, " atoms"], total: Float[Tensor, " systems"]
    ) -> Float[Tensor, " atoms"]:
        """Return x with A x = b + lambda and given sums of x, lambda a constant of each system."""
        raise NotImplementedError

    def of_systems(self, values: Float[Tensor, " atoms"]) -> Float[Tensor, " systems"]:
        """Return sums of atoms."""
        zero = values.new_zeros(self.graph.n_systems)
        return zero.index_add(0, self.graph.system, values)

    def cells(self) -> Float[Tensor, "crystals 3 3"]:
        return self.graph.cell.detach()[self.full]


class _Dense(_Solver):
    """A in memory, factorized."""

    def __init__(self, diagonal: Float[Tensor, " atoms"], graph: Graph, sigma: float) -> None:
        super().__init__(diagonal, graph, sigma)
        matrix = torch.diag(diagonal)
        i, j, pair = interactions(self.positions, graph, ~self.full, sigma)
        matrix.index_put_((i, j), pair)
        for atoms, cell in zip(self.crystals, self.cells(), strict=True):
            matrix[atoms[:, None], atoms] += ewald_matrix(self.positions[atoms], cell, sigma)
        self.factor = torch.linalg.cholesky(matrix)
        self.of_ones = self._solved(torch.ones_like(diagonal))

    def balanced(
        self, b: Float[Tensor, " atoms"], total: Float[Tensor, " systems"]
    ) -> Float[Tensor, " atoms"]:
        x = self._solved(b)
        shift = (total - self.of_systems(x)) / self.of_systems(self.of_ones)
        return x + shift[self.graph.system] * self.of_ones

    def _solved(self, b: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        return torch.cholesky_solve(b[:, None], self.factor)[:, 0]


class _Iterative(_Solver):
    """Conjugate gradients among charges with a given sum; a mesh gives periodic potentials."""

    def __init__(self, diagonal: Float[Tensor, " atoms"], graph: Graph, sigma: float) -> None:
        super().__init__(diagonal, graph, sigma)
        self.meshes = [
            Mesh(self.positions[atoms], cell, sigma)
            for atoms, cell in zip(self.crystals, self.cells(), strict=True)
        ]

    def balanced(
        self, b: Float[Tensor, " atoms"], total: Float[Tensor, " systems"]
    ) -> Float[Tensor, " atoms"]:
        x = (total / self.graph.atoms_per_system)[self.graph.system]
        residual = self._level(b - self._times(x))
        step, square = residual, residual.square().sum()
        for _ in range(MOST_STEPS):
            if residual.abs().max() <= CONVERGED:
                return x
            along = self._level(self._times(step))
            length = square / (step @ along)
            x, residual = x + length * step, residual - length * along
            square, before = residual.square().sum(), square
            step = residual + (square / before) * step
        raise UserError(
            f"The charges did not converge in {MOST_STEPS} steps: the chemical potentials of atoms"
            f" differ by up to {residual.abs().max():.1e} V.",
            fix="Remove structures whose atoms are closer than those of the training.",
        )

    def _times(self, x: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """Return A x."""
        product = self.diagonal * x
        product = product + direct_potentials(x, self.positions, self.graph, ~self.full, self.sigma)
        for atoms, mesh in zip(self.crystals, self.meshes, strict=True):
            product[atoms] += mesh.potentials(x[atoms])
        return product

    def _level(self, values: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """Return values less their mean in each system."""
        means = self.of_systems(values) / self.graph.atoms_per_system
        return values - means[self.graph.system]
