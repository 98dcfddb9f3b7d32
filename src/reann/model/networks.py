"""Networks per element, with parameters stacked over the elements.

linear -> blocks of (activation, [normalization], linear) with a residual connection ->
activation -> linear. With stacked parameters, a batch that lacks an element has zero gradients for
its weights, not missing ones.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from reann.config import NetworkConfig
from reann.facts import LAYER_NORM_EPSILON
from reann.model.roles import WEIGHT, Role


class Linear(nn.Module):
    """x W_Z + b_Z; initial weights are Xavier-uniform or zero, initial biases are zero."""

    ROLES: ClassVar[dict[str, Role]] = {"weight": WEIGHT}

    def __init__(
        self,
        n_elements: int,
        n_in: int,
        n_out: int,
        *,
        zero: bool = False,
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_elements, n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_elements, n_out)) if bias else None
        if not zero:
            for matrix in self.weight:
                nn.init.xavier_uniform_(matrix, generator=generator)

    def forward(self, element: int, x: Tensor) -> Tensor:
        """Apply the layer of one element."""
        if self.bias is None:
            return x @ self.weight[element]
        return torch.addmm(self.bias[element], x, self.weight[element])


class Activation(nn.Module):
    """SiLU, or one of two activations of the original package, with trained a and b per neuron."""

    def __init__(self, n_elements: int, width: int, name: str) -> None:
        super().__init__()
        self.name = name
        if name != "silu":
            a = 1.0 if name == "relu_like" else width**-0.5
            self.a = nn.Parameter(torch.full((n_elements, width), a))
            self.b = nn.Parameter(torch.full((n_elements, width), 1.0 / width))

    def forward(self, element: int, x: Tensor) -> Tensor:
        """Apply the activation of one element."""
        if self.name == "silu":
            return functional.silu(x)
        scaled = x * self.b[element]
        if self.name == "relu_like":
            return self.a[element] * functional.silu(scaled)
        return self.a[element] * x * torch.rsqrt(1.0 + scaled.square())


class Normalization(nn.Module):
    """Layer normalization with weights per element."""

    def __init__(self, n_elements: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_elements, width))
        self.bias = nn.Parameter(torch.zeros(n_elements, width))

    def forward(self, element: int, x: Tensor) -> Tensor:
        """Normalize over the neurons.

        Not by `torch.nn.functional.layer_norm`, whose third derivatives are wrong (PyTorch 2.13):
        training on second derivatives of the energy needs them.
        """
        away = x - x.mean(-1, keepdim=True)
        scale = torch.rsqrt(away.square().mean(-1, keepdim=True) + LAYER_NORM_EPSILON)
        return away * scale * self.weight[element] + self.bias[element]


class Block(nn.Module):
    """(activation, [normalization], linear) for each width after the first."""

    def __init__(
        self, n_elements: int, config: NetworkConfig, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.residual = config.residual
        widths = list(zip(config.hidden[:-1], config.hidden[1:], strict=True))
        self.activations = nn.ModuleList(
            Activation(n_elements, n_in, config.activation) for n_in, _ in widths
        )
        self.normalizations = nn.ModuleList(
            Normalization(n_elements, n_in) if config.layer_norm else nn.Identity()
            for n_in, _ in widths
        )
        # A residual block is initially the identity.
        self.linears = nn.ModuleList(
            Linear(
                n_elements,
                n_in,
                n_out,
                zero=config.residual and i == len(widths) - 1,
                generator=generator,
            )
            for i, (n_in, n_out) in enumerate(widths)
        )

    def forward(self, element: int, x: Tensor) -> Tensor:
        """Apply the block of one element."""
        y = x
        layers = zip(self.activations, self.normalizations, self.linears, strict=True)
        for activation, normalization, linear in layers:
            y = activation(element, y)
            if isinstance(normalization, Normalization):
                y = normalization(element, y)
            y = linear(element, y)
        return x + y if self.residual else y


class Network(nn.Module):
    """A network per element; its last layer is initially zero."""

    def __init__(
        self,
        n_elements: int,
        n_in: int,
        n_out: int,
        config: NetworkConfig,
        *,
        bias: bool,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.first = Linear(n_elements, n_in, config.hidden[0], generator=generator)
        n_blocks = config.blocks if len(config.hidden) > 1 else 0
        self.blocks = nn.ModuleList(Block(n_elements, config, generator) for _ in range(n_blocks))
        width = config.hidden[-1] if n_blocks else config.hidden[0]
        self.activation = Activation(n_elements, width, config.activation)
        self.last = Linear(n_elements, width, n_out, zero=True, bias=bias)

    def forward(
        self, x: Float[Tensor, "atoms features"], counts: list[int]
    ) -> Float[Tensor, "atoms outputs"]:
        """Apply each element's network to its slice of the atoms."""
        return torch.cat([self.of_element(z, x_z) for z, x_z in enumerate(x.split(counts))])

    def of_element(self, element: int, x: Tensor) -> Tensor:
        """Apply the network of one element."""
        return self.last(element, self.hidden(element, x))

    def hidden(self, element: int, x: Tensor) -> Tensor:
        """Return the input of the last layer of the network of one element."""
        x = self.first(element, x)
        for block in self.blocks:
            x = block(element, x)
        return self.activation(element, x)

    def last_weights(self) -> list[Tensor]:
        """Return the weights of the last layer, which multiply `hidden`, (elements, ...) each."""
        return [self.last.weight]
