"""Charges of one system at equal chemical potentials: A x = b + lambda with a given sum of x.

A = J + V is the diagonal of the atoms plus their Coulomb interactions, and positive definite. It is
factorized for molecules and small cells. In a large cell a coarse mesh takes the place of the
interactions: conjugate gradients solve the coarse equations to a hundredth, and the residual of
the fine mesh is what the next coarse solution removes, until it is `CONVERGED`. The solution is
thus that of the fine mesh.

Long waves of charge cost the most energy, 4 pi n / k^2 for n atoms per volume, and would take the
most steps. The preconditioner removes them. It is (1 - P)^2 / d, where d is the mean hardness and P
a filter of waves of wide Gaussians, (1 - sqrt(d / (d + n G))) / n. In a medium of the density n it
is the inverse 1 / (d + n G) of A. n is the highest density, so that 1 - P is positive definite also
where there is vacuum.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from reann.electrostatics.direct import pair_matrix
from reann.electrostatics.ewald import ewald_matrix, self_potential
from reann.electrostatics.mesh import FINE, Fineness, Mesh
from reann.errors import UserError
from reann.units import COULOMB

DENSE = 80
"""Number of atoms of a periodic system up to which A is factorized: the mesh is faster beyond."""
CONVERGED = 1e-6
"""Largest difference of chemical potentials after iterations, a part of the largest |b|.

Forces then differ by less than 1e-6 of the largest force from those of the exact solution, a tenth
of the error of the mesh, and energies by much less, because they are minimal.
"""
COARSE, COARSE_RESIDUAL = Fineness(4, 1.25), 1e-2
"""Mesh of the conjugate gradients, and the part of the residual at which they end."""
WIDE, WIDE_MESH = 2.0, Fineness(4, 1.2)
"""Width of the Gaussians of the preconditioner in sigma, and their mesh."""
MOST_STEPS, MOST_CORRECTIONS = 1000, 20
"""Of conjugate gradients, and solutions on the coarse mesh."""


class Factorized:
    """A in memory as its Cholesky factor."""

    def __init__(self, matrix: Float[Tensor, "atoms atoms"]) -> None:
        self.factor = torch.linalg.cholesky(matrix)
        self.of_ones = self._solved(matrix.new_ones(len(matrix)))

    def balanced(
        self, b: Float[Tensor, " atoms"], total: Float[Tensor, ""]
    ) -> Float[Tensor, " atoms"]:
        """Return x with A x = b + lambda and the given sum."""
        x = self._solved(b)
        return x + (total - x.sum()) / self.of_ones.sum() * self.of_ones

    def _solved(self, b: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        return torch.cholesky_solve(b[:, None], self.factor)[:, 0]


class Meshed:
    """Meshes of a large cell."""

    def __init__(
        self,
        diagonal: Float[Tensor, " atoms"],
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "3 3"],
        sigma: float,
    ) -> None:
        self.diagonal = diagonal
        self.fine, self.coarse = (Mesh(positions, cell, sigma, f) for f in (FINE, COARSE))
        self.wide = Mesh(positions, cell, WIDE * sigma, WIDE_MESH)
        self.hardness = float(diagonal.mean()) - COULOMB * self_potential(sigma)
        G = COULOMB * self.wide.G
        most = self.wide.highest_density()
        self.filter = (1.0 - (self.hardness / (self.hardness + most * G)).sqrt()) / most

    def balanced(
        self, b: Float[Tensor, " atoms"], total: Float[Tensor, ""]
    ) -> Float[Tensor, " atoms"]:
        """Return x with A x = b + lambda and the given sum.

        Raises
        ------
        UserError
            If the solutions do not converge.
        """
        x = (total / len(b)).expand_as(b)
        largest = CONVERGED * (b.abs().max() + (self.diagonal * x).abs().max())
        for _ in range(MOST_CORRECTIONS):
            potentials = self.fine.potentials(x) if x.any() else x  # zero at first, often
            residual = _level(b - self.diagonal * x - potentials)
            if residual.abs().max() <= largest:
                return x
            x = x + self._coarse_solution(residual)
        raise UserError(
            f"The charges did not converge in {MOST_CORRECTIONS} corrections: the chemical"
            f" potentials of atoms differ by up to {residual.abs().max():.1e} V.",
            fix="Remove structures whose atoms are closer than those of the training.",
        )

    def _coarse_solution(self, b: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """Return x of sum zero with A x = b + lambda on the coarse mesh, by conjugate gradients."""
        x, residual, largest = torch.zeros_like(b), b, COARSE_RESIDUAL * b.abs().max()
        step = smooth = self.preconditioned(residual)
        square = residual @ smooth
        for _ in range(MOST_STEPS):
            along = _level(self.diagonal * step + self.coarse.potentials(step))
            length = square / (step @ along)
            x, residual = x + length * step, residual - length * along
            if residual.abs().max() <= largest:
                break
            smooth = self.preconditioned(residual)
            square, before = residual @ smooth, square
            step = smooth + (square / before) * step
        return x

    def preconditioned(self, residual: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """Return the residual times an approximation of A^-1."""
        for _ in range(2):
            residual = residual - self.wide.filtered(residual, self.filter)
        return _level(residual) / self.hardness


def _level(values: Float[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
    return values - values.mean()


def balance_of(
    diagonal: Float[Tensor, " atoms"],
    positions: Float[Tensor, "atoms 3"],
    cell: Float[Tensor, "3 3"] | None,
    sigma: float,
) -> Factorized | Meshed:
    """Return the equations of a system; J in V/e, Å, and no cell if it is not periodic."""
    if cell is not None and len(diagonal) > DENSE:
        return Meshed(diagonal, positions, cell, sigma)
    between = (
        pair_matrix(positions, sigma) if cell is None else ewald_matrix(positions, cell, sigma)
    )
    return Factorized(torch.diag(diagonal) + between)
