"""The recursion: a descriptor of neighbors whose states depend on their own environments.

    h_j^(0) = h_Z,      D_i^(t) = F({h_j^(t), r_ij}),      h_j^(t+1) = update_t(h_j^(t), D_j^(t))

Zhang, Xia, Jiang, Phys. Rev. Lett. 127, 156002 (2021), eq. 4, for any descriptor F. There, and in
`reann.model.messages`, the states h are the weights of the neighbors. T = 0 is the plain
descriptor; each recursion extends the range by one cutoff.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from reann.config import ModelConfig
from reann.errors import UserError
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.hosts import Host, host_of
from reann.model.messages import require_moments, update_of
from reann.model.neighborhood import Neighborhood
from reann.model.nodes import Update
from reann.model.representation import Features, Representation


class Recursion(Representation):
    """Features D^(T) of all atoms.

    Attributes
    ----------
    feature_mean, feature_scale
        Fixed standardization of the inputs of the networks, (elements, features).
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(
        self, host: Host, update: Update, n_elements: int, *, standardized: bool = True
    ) -> None:
        """Add the recursion to a host.

        Parameters
        ----------
        standardized
            Whether features are standardized for the networks; this has no effect until the
            statistics are set.

        Raises
        ------
        UserError
            For an update that needs moments with a host that has none.
        """
        super().__init__()
        if update.NEEDS_MOMENTS:
            require_moments(host)
        self.host, self.update, self.standardized = host, update, standardized
        self.width = host.width
        self.register_buffer("feature_mean", torch.zeros(n_elements, host.width))
        self.register_buffer("feature_scale", torch.ones(n_elements, host.width))

    @property
    def dtype(self) -> torch.dtype:
        """Precision of descriptor and networks."""
        return self.feature_mean.dtype

    @property
    def messages(self) -> str:
        """Kind of messages."""
        return "directional" if len(self.update.layout) > 1 else "scalar"

    def forward(self, atoms: Neighborhood) -> Float[Tensor, "atoms features"]:
        """Return D^(T), atoms in the order of the elements."""
        functions = self.host.prepare(replace(atoms, vector=atoms.vector.to(self.dtype)))
        h = self.update.start(atoms)
        for t in range(self.update.n_recursions):
            D, moments = self.host.describe(functions, h, t, self.update)
            h = self.update.step(t, h, self.standardize(D, atoms.counts), moments, atoms)
        return self.host.describe(functions, h, self.update.n_recursions, self.update).features

    def features(self, D: Float[Tensor, "atoms features"], atoms: Neighborhood) -> Features:
        """Return the input of heads: standardized D. For free atoms D is zero."""
        zero = torch.zeros_like(self.feature_mean)
        of_free_atoms = self.standardize(zero, [1] * len(zero))
        is_embedded, x = (D != 0).any(1), self.standardize(D, atoms.counts)
        return Features(is_embedded, x, of_free_atoms, atoms.element)

    def standardize(
        self, features: Float[Tensor, "atoms features"], counts: list[int]
    ) -> Float[Tensor, "atoms features"]:
        """Shift and scale the features with constants per element."""
        if not self.standardized:
            return features
        each = zip(features.split(counts), self.feature_mean, self.feature_scale, strict=True)
        return torch.cat([(D_z - mean) / scale for D_z, mean, scale in each])


def recursion_of(
    config: ModelConfig,
    n_elements: int,
    mean_neighbors: float = 1.0,
    generator: torch.Generator | None = None,
    *,
    host: Host | None = None,
    update: Update | None = None,
) -> Representation:
    """Return the recursion of a configuration, with seeded weights.

    Raises
    ------
    UserError
        If a host or an update is given for equivariant messages, which have neither.
    """
    if config.messages != "equivariant":
        host = host or host_of(config, n_elements, generator)
        update = update or update_of(config, host, n_elements, mean_neighbors, generator)
        return Recursion(host, update, n_elements, standardized=config.standardize)
    if host or update:
        raise UserError(
            "A model with equivariant messages takes no host and no update.",
            "model.messages",
            "Use `messages: scalar` or `messages: directional` with them.",
        )
    return EquivariantRecursion(config, n_elements, mean_neighbors, generator)
