r"""Laplace approximation of the last layer: posterior distribution of its weights.

With everything before the last layer fixed, energies and forces are linear in its weights w, and
their squared errors give w a normal distribution with the precision

    H = sum_E f f^T / sigma_E^2 + sum_F g g^T / sigma_F^2 + zeta^2 1,

where f = dE/dw and g = dF/dw. Draws differ where the data do not determine the potential (Bigi,
Chong, Ceriotti, Grasselli, Mach. Learn.: Sci. Technol. 5, 045018 (2024)). The sum over force
components is estimated from random combinations: for independent v_c of mean 0 and variance 1, the
mean of (sum_c v_c g_c)(sum_c v_c g_c)^T is sum_c g_c g_c^T.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from reann.graph import Graph
from reann.model.last_layer import hidden_features, last_layer
from reann.model.reann import Reann, in_precision
from reann.torch_state import differentiable

STEP = 1e-4
"""Step of the finite differences, Å."""
RIDGE = 1e-6
"""zeta^2 in units of the mean diagonal of the other terms."""
MAX_EDGES = 5_000
"""Most neighbor pairs in a batch; larger tensors do not fit into the cache."""


class Rows:
    """Sums of f f^T over energies and of g g^T over forces.

    sigma_E is 1 eV and sigma_F is 1 eV/Å; the calibration sets the scale of the spread.

    Parameters
    ----------
    forces
        Whether the potential was trained on forces.
    """

    def __init__(self, model: Reann, *, forces: bool = True) -> None:
        with differentiable():
            self.model = in_precision(copy.deepcopy(model), torch.float64)
        self.with_forces = forces
        self.scale = model.energy_scale.item()
        width, device = last_layer(model).numel(), model.element_index.device
        self.sum = torch.zeros(width, width, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add(self, graph: Graph, generator: torch.Generator) -> None:
        """Add structures; forces are projected on one random direction of all atoms."""
        with differentiable():
            f = self.features(graph)
            self.sum += f.T @ f
            if not self.with_forces:
                return
            v = torch.randn(graph.positions.shape, generator=generator, dtype=torch.float64)
            v = v.to(graph.positions.device)
            plus, minus = (
                self.features(graph.with_values(positions=graph.positions + sign * STEP * v))
                for sign in (1.0, -1.0)
            )
            g = (plus - minus) / (2.0 * STEP)
            self.sum += g.T @ g

    def features(self, graph: Graph) -> Float[Tensor, "systems weights"]:
        """Return f = dE/dw of each structure, eV."""
        embedding = self.model.embed(graph, graph.edge_vectors())
        return self.scale * hidden_features(self.model, graph, embedding).flatten(1)

    def precision(self) -> Float[Tensor, "weights weights"]:
        """Return H."""
        size = RIDGE * self.sum.diagonal().mean().clamp(min=1e-300)
        return self.sum + size * torch.eye(len(self.sum), dtype=torch.float64, device=size.device)


def draws(
    precision: Float[Tensor, "weights weights"], number: int, seed: int = 0
) -> Float[Tensor, "draws weights"]:
    """Return weights drawn from a normal distribution with mean zero and the given precision.

    The draws are shifted to a mean of exactly zero, so that the mean of the ensemble is the
    potential itself. Their sample covariance is on average the inverse of the precision.
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(len(precision), number, generator=generator, dtype=torch.float64)
    z = z.to(precision.device)
    lower = torch.linalg.cholesky(precision)
    w = torch.linalg.solve_triangular(lower.mT, z, upper=True).mT
    return w - w.mean(0)
