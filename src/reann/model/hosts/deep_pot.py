"""The smooth embedding descriptor of DeepPot-SE.

    R_ij = s (1, x/r, y/r, z/r),   s = fc(r_ij) / r_ij,      G_ij = net(s, w_j)
    D_i = (sum_j G_ij R_ij^T) (sum_j R_ij G'_ij^T)

with G' the first few columns of G. Zhang and others, NeurIPS 31, 4436 (2018); the weights are the
embedding of the neighbor's element, an input of the network.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reann.config import ModelConfig
from reann.model.hosts.host import Host
from reann.model.hosts.radial import CUTOFF_FUNCTIONS
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Linear


class Environments(NamedTuple):
    """The environment matrix R; its first column is s."""

    atoms: Neighborhood
    R: Float[Tensor, "atoms slots 4"]


class DeepPot(Host):
    """n_radial outputs of the embedding network, times the first `n_axis` of them."""

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,  # noqa: ARG002 - elements differ by their weights
        generator: torch.Generator | None = None,
        *,
        n_axis: int = 4,
        n_type: int = 8,
        hidden: int = 32,
    ) -> None:
        """Create the host; `n_type` numbers per element, `hidden` neurons in the network."""
        super().__init__()
        self.cutoff, self.n_axis, self.n_weights = config.cutoff, n_axis, n_type
        self.cutoff_function = CUTOFF_FUNCTIONS[config.cutoff_function]
        self.first = Linear(1, 1 + n_type, hidden, generator=generator)
        self.last = Linear(1, hidden, config.n_radial, generator=generator)
        self.width = config.n_radial * min(n_axis, config.n_radial)

    def prepare(self, atoms: Neighborhood) -> Environments:
        """Return the environment matrices."""
        r = torch.linalg.vector_norm(atoms.vector, dim=-1, keepdim=True)
        s = self.cutoff_function(r, self.cutoff) / r
        return Environments(atoms, torch.cat([s, s * atoms.vector / r], dim=-1))

    def forward(
        self, environments: Environments, weights: Float[Tensor, "atoms weights"]
    ) -> Float[Tensor, "atoms features"]:
        """Return D, flattened."""
        atoms, R = environments
        x = torch.cat([R[..., :1], atoms.of_neighbors(weights)], dim=-1).flatten(0, 1)
        G = self.last(0, torch.tanh(self.first(0, x))).unflatten(0, R.shape[:2])
        RG = R.mT @ G
        return (RG.mT @ RG[..., : self.n_axis]).flatten(1)
