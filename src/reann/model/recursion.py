"""The recursion: weights of the neighbors that depend on the neighbors' own features.

    w_j^(0) = w_Z,      D_i^(t) = F({w_j^(t), r_ij}),      w_j^(t+1) = w_j^(t) + g_t(D_j^(t))

Zhang, Xia, Jiang, Phys. Rev. Lett. 127, 156002 (2021), eq. 4, for any descriptor F of weighted
neighbors. With T = 0 it is the descriptor itself; each recursion reaches one cutoff further.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.config import NetworkConfig
from reann.errors import UserError
from reann.model.hosts.host import Host, MomentHost
from reann.model.messages import Directional
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network


class Recursion(nn.Module):
    """Features D^(T) of all atoms.

    Attributes
    ----------
    weights
        w_Z, (elements, n_weights).
    update_scale
        Factor of all g.
    feature_mean, feature_scale
        Fixed standardization of what the networks see, (elements, features).
    """

    update_scale: Tensor
    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(
        self,
        host: Host,
        n_elements: int,
        n_recursions: int,
        network: NetworkConfig,
        *,
        mean_neighbors: float = 1.0,
        update_scale: float | None = None,
        directional: bool = False,
        standardized: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        """Upgrade a host.

        Parameters
        ----------
        network
            Of the updates g, one for each element and recursion; its last layer starts at zero.
        mean_neighbors
            Weights start with 1/sqrt(mean_neighbors), the scale of the updates by default.
        directional
            Whether neighbors pass on their moments, too.
        standardized
            Whether the networks see standardized features; until the statistics are set, it makes
            no difference.

        Raises
        ------
        UserError
            For directional messages and a host that has no moments.
        """
        super().__init__()
        if directional and not isinstance(host, MomentHost):
            raise UserError(
                f"{type(host).__name__} has no moments that directional messages could pass on.",
                "model.messages",
                "Use `messages: scalar`, or one of the hosts density and power_spectrum.",
            )
        self.host, self.standardized = host, standardized
        per_neighbor = max(mean_neighbors, 1.0) ** -0.5
        # Random signs and sizes: what neighbors of different elements add is told apart at once.
        start = torch.randn(n_elements, host.n_weights, generator=generator)
        self.weights = nn.Parameter(start * per_neighbor)
        l_max = host.l_max if directional and isinstance(host, MomentHost) else 0
        n_changes = host.n_weights * (1 + l_max)
        self.updates = nn.ModuleList(
            Network(n_elements, host.width, n_changes, network, bias=True, generator=generator)
            for _ in range(n_recursions)
        )
        self.messages = nn.ModuleList(
            Directional(host.n_weights, l_max, generator)
            for _ in range(n_recursions if l_max else 0)
        )
        self.register_buffer("update_scale", torch.tensor(update_scale or per_neighbor))
        self.register_buffer("feature_mean", torch.zeros(n_elements, host.width))
        self.register_buffer("feature_scale", torch.ones(n_elements, host.width))

    def forward(self, atoms: Neighborhood) -> Float[Tensor, "atoms features"]:
        """Return D^(T), atoms in the order of the elements."""
        seen = self.host.prepare(replace(atoms, vector=atoms.vector.to(self.weights.dtype)))
        # index_select: the gradient of an indexed tensor adds in no fixed order.
        w, u = self.weights.index_select(0, atoms.element), None
        for t, update in enumerate(self.updates):
            D, s = self._features(seen, w, u, t)
            g = self.update_scale * update(self.standardize(D, atoms.counts), atoms.counts)
            w = w + g[:, : w.shape[1]]
            if self.messages:
                u = self.messages[t](g[:, w.shape[1] :], s)
        return self._features(seen, w, u, len(self.updates))[0]

    def _features(
        self, seen: Any, w: Tensor, u: Tensor | None, t: int
    ) -> tuple[Float[Tensor, "atoms features"], Tensor | None]:
        """Return the features and, of a host that has them, the moments."""
        if isinstance(self.host, MomentHost):
            s = self.host.moments(seen, w, u)
            return self.host.invariants(s, t), s
        return self.host(seen, w), None

    def standardize(
        self, features: Float[Tensor, "atoms features"], counts: list[int]
    ) -> Float[Tensor, "atoms features"]:
        """Shift and scale the features per element, linearly: nothing of an atom's own is lost."""
        if not self.standardized:
            return features
        each = zip(features.split(counts), self.feature_mean, self.feature_scale, strict=True)
        return torch.cat([(D_z - mean) / scale for D_z, mean, scale in each])

    def nothing(self) -> Float[Tensor, "elements features"]:
        """Return the standardized features of an atom of each element without neighbors."""
        zero = torch.zeros_like(self.feature_mean)
        return self.standardize(zero, [1] * len(zero))
