"""Choice of the head of a quantity: of this package, of an installed package, or a tensor head.

An installed package registers a head by an entry point of the group `reann.heads` with the name of
the quantity. With equivariant messages, scalars, vectors and matrices have heads that read the
states; with other messages, dipoles and polarizabilities have heads that read features.
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
from reann.model.polarizabilities import InteractingPolarizability
from reann.model.state_heads import TensorHead
from reann.quantities import named

GROUP = "reann.heads"
MakeHead = Callable[[ModelConfig, int, int, torch.Generator | None], OutputHead]
"""Creates a head from a configuration, a number of elements and a number of features."""
BUILT_IN: dict[str, MakeHead] = {
    "charges": ChargesHead,
    "dipole": DipoleHead,
    "transition_dipole": TransitionDipoleHead,
}
"""Heads other than plain tensors."""


def output_heads(
    config: ModelConfig, n_elements: int, width: int, generator: torch.Generator | None = None
) -> nn.ModuleDict:
    """Return the heads of the outputs of a configuration, by their quantities.

    Raises
    ------
    UserError
        If there is no such head.
    """
    return nn.ModuleDict(
        {
            name: head_of(name, config)(config, n_elements, width, generator)
            for name in config.from_heads
        }
    )


def head_of(name: str, config: ModelConfig) -> MakeHead:
    """Return the constructor of the head of a quantity; errors as `output_heads`."""
    built_in = BUILT_IN if config.messages == "equivariant" else feature_heads(config)
    if name == "polarizability" and config.induction:
        return InteractingPolarizability.of(named(name))
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
        f"Install a package that provides it by an entry point of the group {GROUP}.",
    )
