"""Copies and conversions of a model: one head, another precision, no inference mode."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from reann.errors import UserError, did_you_mean
from reann.torch_state import differentiable

if TYPE_CHECKING:
    from reann.model.reann import Reann


@differentiable()
def with_head(model: Reann, name: str) -> Reann:
    """Return a copy of a model with only one of its heads, which all engines support.

    Raises
    ------
    UserError
        If the model has no head of this name.
    """
    if name not in model.heads:
        raise UserError(
            f"The model has no head '{name}'.{did_you_mean(name, model.heads)}",
            fix=f"Use one of {', '.join(model.heads)}.",
        )
    alone = copy.deepcopy(model)
    alone.config = model.config.model_copy(update={"heads": [name]})
    for other in model.heads:
        if other != name:
            del alone.heads[other]
    return alone


@differentiable()
def in_precision(model: Reann, dtype: torch.dtype) -> Reann:
    """Convert the networks to `dtype`; energies stay float64."""
    # Constants are not in the state dict: once rounded, they would not recover.
    for name, tensor in model.state_dict(keep_vars=True).items():
        owner, _, own_name = name.rpartition(".")
        kept = getattr(model.get_submodule(owner), "DOUBLE", ())
        if tensor.is_floating_point() and own_name not in kept:
            tensor.data = tensor.data.to(dtype)
    return model


def without_inference(model: Reann) -> Reann:
    """Return the model, or a differentiable copy if it was created in inference mode."""
    with differentiable():
        return copy.deepcopy(model) if next(model.parameters()).is_inference() else model
