r"""Laplace approximation of the last layer: the weights that the training data allow.

With everything before the last layer fixed, energies and forces are linear in its weights w, and
their squared errors give w a normal distribution with the precision

    H = sum_E f f^T / sigma_E^2 + sum_F g g^T / sigma_F^2 + zeta^2 1,

where f = dE/dw and g = dF/dw. Draws from it differ where the data do not determine the potential
(Bigi, Chong, Ceriotti, Grasselli, Mach. Learn.: Sci. Technol. 5, 045018 (2024)). The sum over the
force components is taken from random combinations of them: with independent v_c of mean 0 and
variance 1, the mean of (sum_c v_c g_c)(sum_c v_c g_c)^T is sum_c g_c g_c^T.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from reann.graph import Graph
from reann.model.last_layer import hidden_features
from reann.model.reann import Reann, in_precision
from reann.torch_state import differentiable

STEP = 1e-3
"""Å; displacement of the finite differences."""


class Rows:
    """The matrix sum of f f^T over energies and that of g g^T over forces of one head.

    Attributes
    ----------
    energies, forces
        (weights, weights), float64, in eV^2 and (eV/Å)^2: with the energy scale of the head.
    """

    def __init__(self, model: Reann, head: int = 0) -> None:
        with differentiable():
            self.model = in_precision(copy.deepcopy(model), torch.float64)
        self.head = head
        self.scale = model.heads.every()[head].energy_scale.item()
        width = self.features_of_nothing()
        self.energies = torch.zeros(width, width, dtype=torch.float64)
        self.forces = torch.zeros_like(self.energies)

    def features_of_nothing(self) -> int:
        """Return the number of weights."""
        readout = self.model.heads.every()[self.head].readout
        return sum(w.numel() for w in readout.last_weights())

    @torch.no_grad()
    def add(self, graph: Graph, generator: torch.Generator, n_directions: int = 1) -> Tensor:
        """Add structures; return their features f, (systems, weights), in eV."""
        f = self.features(graph)
        self.energies += f.T @ f
        for _ in range(n_directions):
            v = torch.randn(graph.positions.shape, generator=generator, dtype=torch.float64)
            plus, minus = (
                self.features(replace(graph, positions=graph.positions + sign * STEP * v))
                for sign in (1.0, -1.0)
            )
            g = (plus - minus) / (2.0 * STEP)
            self.forces += g.T @ g / n_directions
        return f

    @torch.no_grad()
    def features(self, graph: Graph) -> Float[Tensor, "systems weights"]:
        """Return f = dE/dw of each structure, eV."""
        embedding = self.model.embed(graph, graph.edge_vectors())
        return self.scale * hidden_features(self.model, graph, embedding, self.head).flatten(1)


def draws(
    precision: Float[Tensor, "weights weights"], number: int, seed: int = 0
) -> Float[Tensor, "draws weights"]:
    """Return weights drawn from a normal distribution of mean zero with this precision.

    Their mean is exactly zero, and their covariance, with n - 1 in the denominator, is on average
    the inverse of the precision: the mean of an ensemble of them is the potential itself.
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(len(precision), number, generator=generator, dtype=torch.float64)
    lower = torch.linalg.cholesky(precision)
    w = torch.linalg.solve_triangular(lower.mT, z, upper=True).mT
    return w - w.mean(0)
