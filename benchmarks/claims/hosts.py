"""The hosts that are compared, and the control that should not help."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reann.config import ModelConfig
from reann.graph import Graph
from reann.model import Reann
from reann.model.hosts import Host, host_of
from reann.training.standardize import LEAST_SCALE, MEAN_SHARE

HOSTS: dict[str, dict[str, Any]] = {
    "density, pairs": {"features": "gram"},
    "density": {},
    "power spectrum": {"host": "power_spectrum"},
    "symmetry functions, radial": {"host": "symmetry_functions", "host_options": {"zeta": []}},
    "symmetry functions": {"host": "symmetry_functions"},
    "DeepPot-SE": {"host": "deep_pot"},
}
"""Settings by the name in the tables. `density, pairs` has products of two moments only: like the
others it sees distances and angles."""
OF_MOMENTS = ("density, pairs", "density", "power spectrum")
"""Hosts that can have directional messages."""


class Averaged(Host):
    """A host's finished features, and their average over the neighbors beside them.

    What graph convolutions do, and what was tried on another descriptor without gain: neighbors are
    described twice, but not weighed by their surroundings where directions still count.
    """

    def __init__(self, host: Host, cutoff: float) -> None:
        super().__init__()
        self.host, self.cutoff = host, cutoff
        self.n_weights, self.width = host.n_weights, 2 * host.width

    def prepare(self, atoms: Any) -> Any:
        """Return what the host wants, and the share of each neighbor."""
        x = (atoms.vector.norm(dim=-1) / self.cutoff).clamp(max=1.0)
        return self.host.prepare(atoms), atoms, (0.5 + 0.5 * torch.cos(torch.pi * x)).square()

    def forward(self, seen: Any, weights: Tensor) -> Tensor:
        """Return both."""
        own, atoms, share = seen
        features = self.host(own, weights)
        around = (share[..., None] * atoms.of_neighbors(features)).sum(1)
        return torch.cat([features, around], dim=1)


def model(
    settings: dict[str, Any], elements: list[int], seed: int, *, averaged: bool = False
) -> Reann:
    """Return a potential in float64, networks at their start."""
    config = ModelConfig(**{"preset": "density"} | settings)
    generator = torch.Generator().manual_seed(seed)
    host = host_of(config, len(elements), generator)
    if averaged:
        host = Averaged(host, config.cutoff)
    network = Reann(config, elements, 4.0, generator, host=host)
    return network.to(torch.float64)


@torch.no_grad()
def standardize(model: Reann, batch: Graph) -> None:
    """Set mean and scale of the features from a batch, as before every training."""
    features, atoms = model.embed(batch, batch.edge_vectors())
    for z, own in enumerate(features.split(atoms.counts)):
        mean, deviation = own.mean(0), own.std(0)
        model.recursion.feature_mean[z] = mean
        scale = (deviation + MEAN_SHARE * mean.abs()).clamp(min=LEAST_SCALE)
        model.recursion.feature_scale[z] = scale
