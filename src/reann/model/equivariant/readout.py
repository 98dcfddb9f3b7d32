"""The readout of all layers: E_i = sum_t [x_i^(t) . a_Z^t / sqrt(K) + NN_Z^t(x_i^(t))]."""

from __future__ import annotations

import math
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.model.networks import Network


class LayerReadout(nn.Module):
    """The readout of one layer, zero at the start.

    Attributes
    ----------
    linear
        a, (elements, channels).
    network
        NN.
    """

    def __init__(
        self, config: ModelConfig, n_elements: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.linear = nn.Parameter(torch.zeros(n_elements, config.channels))
        self.network = Network(
            n_elements, config.channels, 1, config.readout, bias=False, generator=generator
        )

    def forward(
        self, x: Float[Tensor, "atoms channels"], counts: list[int]
    ) -> Float[Tensor, "atoms 1"]:
        """Return x . a_Z / sqrt(K) + NN_Z(x)."""
        of_elements = zip(x.split(counts), self.linear, strict=True)
        linear = torch.cat([x_z @ a[:, None] for x_z, a in of_elements])
        return linear / math.sqrt(x.shape[1]) + self.network(x, counts)

    def hidden(self, element: int, x: Tensor) -> Tensor:
        """Return the inputs of the last linear layer of one element: x / sqrt(K), neurons."""
        return torch.cat([x / math.sqrt(x.shape[1]), self.network.hidden(element, x)], dim=1)


class Readouts(nn.ModuleList):
    """The sum of the readouts of layers t = 0 .. T."""

    def __init__(
        self, config: ModelConfig, n_elements: int, generator: torch.Generator | None = None
    ) -> None:
        layers = range(config.n_recursions + 1)
        super().__init__(LayerReadout(config, n_elements, generator) for _ in layers)

    def each(self) -> list[LayerReadout]:
        """Return the readouts of layers t = 0 .. T."""
        return [cast("LayerReadout", readout) for readout in self]

    def forward(
        self, x: Float[Tensor, "atoms features"], counts: list[int]
    ) -> Float[Tensor, "atoms 1"]:
        """Return the sum over the layers, whose x are parts of the features."""
        parts = x.chunk(len(self), dim=1)
        each = [readout(part, counts) for readout, part in zip(self.each(), parts, strict=True)]
        return torch.stack(each).sum(0)

    def hidden(self, element: int, x: Tensor) -> Tensor:
        """Return the inputs of the last linear layers for one element, layer by layer."""
        parts = zip(self.each(), x.chunk(len(self), dim=1), strict=True)
        return torch.cat([readout.hidden(element, part) for readout, part in parts], dim=1)

    def last_weights(self) -> list[Tensor]:
        """Return the weights of `hidden`, (elements, ...) each, in its order."""
        return [w for layer in self.each() for w in (layer.linear, *layer.network.last_weights())]
