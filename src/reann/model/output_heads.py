"""Which head gives a quantity: one of this package, one of an installed package, or a tensor head.

An installed package names its head by an entry point of the group `reann.heads` with the name of
the quantity. A quantity that is read off the states of equivariant messages needs none. With other
messages dipoles and polarizabilities have heads that read features.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

import torch
from torch import nn

from reann.config import ModelConfig
from reann.errors import UserError, did_you_mean
from reann.model.dipoles import ChargesHead, DipoleHead, TransitionDipoleHead
from reann.model.feature_heads import feature_heads
from reann.model.heads import OutputHead
from reann.model.state_heads import TensorHead
from reann.quantities import named

GROUP = "reann.heads"
MakeHead = Callable[[ModelConfig, int, int, torch.Generator | None], OutputHead]
"""Makes a head for a configuration, a number of elements and a number of features."""
BUILT_IN: dict[str, MakeHead] = {
    "charges": ChargesHead,
    "dipole": DipoleHead,
    "transition_dipole": TransitionDipoleHead,
}
"""Heads that are more than tensors of atoms."""


def output_heads(
    config: ModelConfig, n_elements: int, width: int, generator: torch.Generator | None = None
) -> nn.ModuleDict:
    """Return the heads of the outputs of a configuration, by their quantities.

    Raises
    ------
    UserError
        If no installed package has such a head.
    """
    return nn.ModuleDict(
        {
            name: head_of(name, config)(config, n_elements, width, generator)
            for name in config.from_heads
        }
    )


def head_of(name: str, config: ModelConfig) -> MakeHead:
    """Return what makes the head of a quantity; errors as `output_heads`."""
    built_in = BUILT_IN if config.messages == "equivariant" else feature_heads(config)
    if name in built_in:
        return built_in[name]
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name in known:
        return known[name].load()
    if named(name).reads_states:
        return TensorHead.of(named(name))
    raise UserError(
        f"There is no head for '{name}'.{did_you_mean(name, known)}",
        "model.outputs",
        f"Install the package that has it as an entry point of the group {GROUP}.",
    )
