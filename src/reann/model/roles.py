"""What the training does with a parameter, as the module says that makes it.

A module declares the roles of its own parameters, and lists of them, by name, in the class
attribute `ROLES`. One that is not declared, such as any of a host of another package, moves by Adam
and does not decay: right for scales, centers and biases, and harmless for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import nn


class Role(NamedTuple):
    """How an optimizer moves a parameter."""

    matrix: bool = False
    """A stack (..., in, out) of matrices: SOAP moves it in the eigenbasis of its gradients."""
    decays: bool = False
    """Whether weight decay applies."""


WEIGHT = Role(matrix=True, decays=True)
"""Of the linear layers of networks."""


def roles(model: nn.Module) -> dict[str, Role]:
    """Return the role of every parameter by name."""
    found = {}
    for name, _ in model.named_parameters():
        owner, _, own_name = name.rpartition(".")
        if isinstance(model.get_submodule(owner), nn.ParameterList):
            owner, _, own_name = owner.rpartition(".")
        declared: Mapping[str, Role] = getattr(model.get_submodule(owner), "ROLES", {})
        found[name] = declared.get(own_name, Role())
    return found
