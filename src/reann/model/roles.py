"""Roles of parameters in the training, declared by their modules.

A module declares the roles of its parameters and parameter lists by name in the class attribute
`ROLES`. Parameters without a role, such as those of hosts of other packages, are optimized by Adam
without weight decay: correct for scales, centers and biases, and harmless for others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import nn


class Role(NamedTuple):
    """How the optimizer treats a parameter."""

    matrix: bool = False
    """A stack of matrices (..., in, out), which SOAP optimizes in the eigenbasis of the
    gradients."""
    decays: bool = False
    """Whether weight decay applies."""


WEIGHT = Role(matrix=True, decays=True)
"""Role of the weights of linear layers."""


def roles(model: nn.Module) -> dict[str, Role]:
    """Return the roles of all parameters by name."""
    by_name = {}
    for name, _ in model.named_parameters():
        owner, _, own_name = name.rpartition(".")
        if isinstance(model.get_submodule(owner), nn.ParameterList):
            owner, _, own_name = owner.rpartition(".")
        declared: Mapping[str, Role] = getattr(model.get_submodule(owner), "ROLES", {})
        by_name[name] = declared.get(own_name, Role())
    return by_name
