"""Copies of weights, to notice that a model has changed: optimizers change tensors in place."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def kept(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the weights of a model."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def are_current(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    """Return whether copies have the values, precision and device of a model's weights."""
    return all(
        copy.dtype == state[name].dtype
        and copy.device == state[name].device
        and torch.equal(copy, state[name])
        for name, copy in weights.items()
    )
