"""The weights of a model in the native engine, folded and packed when they change.

The engine always computes an energy; models without an energy get an energy of zero.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reann import native, strict_json
from reann.backends.native.numbers import Numbers
from reann.config import ModelConfig, NetworkConfig
from reann.facts import DEFAULT_HEAD
from reann.kept_weights import are_current, kept
from reann.model import Reann
from reann.model.heads import EnergyHead
from reann.model.restore import description

BESIDE_ENGINE = ("long_range", "dispersion")
"""Fields of the section `model` for terms that are computed outside the engine."""
MEMBER = "0."
"""Prefix of the names of arrays, as in a file with one potential."""
SMALLEST = NetworkConfig(hidden=[1], blocks=0)
"""The readout of an energy of zero."""


class Snapshot:
    """A model of the extension with the weights at its creation; it never changes.

    Attributes
    ----------
    numbers
        Function from the rows of the engine to quantities; None for uncommon heads.
    """

    def __init__(self, model: Reann) -> None:
        self.weights = kept(model)
        self.model = new_model(model)
        self.numbers = Numbers.of(model)

    def has(self, state: Mapping[str, Tensor]) -> bool:
        """Return whether these are the current weights."""
        return are_current(self.weights, state)


_snapshots: WeakKeyDictionary[Reann, Snapshot] = WeakKeyDictionary()
_local = threading.local()


def snapshot(model: Reann) -> Snapshot:
    """Return the model for the native engine, rebuilt if the weights have changed."""
    known = _snapshots.get(model)
    if known is None or not known.has(dict(tensors_of(model))):
        known = _snapshots[model] = Snapshot(model)
    return known


def tensors_of(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of `state_dict` in a third of its time, as each evaluation needs them."""
    for name, tensor in module._parameters.items():  # noqa: SLF001
        if tensor is not None:
            yield f"{prefix}{name}", tensor
    for name, tensor in module._buffers.items():  # noqa: SLF001
        if tensor is not None and name not in module._non_persistent_buffers_set:  # noqa: SLF001
            yield f"{prefix}{name}", tensor
    for name, inside in module._modules.items():  # noqa: SLF001
        if inside is not None:
            yield from tensors_of(inside, f"{prefix}{name}.")


def new_model(model: Reann) -> Any:
    """Return a model of the extension."""
    about: dict[str, Any] = description(model) | {"members": [{}]}
    for name in BESIDE_ENGINE:
        about["model"].pop(name, None)
    if not len(model.heads):
        of_energy = {"heads": [DEFAULT_HEAD], "readout": SMALLEST.model_dump(mode="json")}
        about["model"] = about["model"] | of_energy
    return native.core().Model(strict_json.dumps(about), arrays_of(model))


def arrays_of(model: Reann) -> dict[str, NDArray[np.floating]]:
    """Return the weights by their names in the extension."""
    tensors = dict(tensors_of(model))
    if not len(model.heads):
        sizes = len(model.elements), model.recursion.width
        tensors = zero_energy(*sizes, model.config.channels, model.dtype) | tensors
    return {f"{MEMBER}{k}": v.detach().contiguous().numpy() for k, v in tensors.items()}


@cache
def zero_energy(
    n_elements: int, width: int, channels: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return the weights of an equivariant head with zero energy."""
    config = ModelConfig(channels=channels, n_recursions=width // channels - 1, readout=SMALLEST)
    head = EnergyHead(config, n_elements, width)
    return {
        f"heads.{DEFAULT_HEAD}.{name}": tensor.to(
            torch.float64 if name in EnergyHead.DOUBLE else dtype
        )
        for name, tensor in head.state_dict().items()
    }


def workspace() -> Any:
    """Return the workspace of this thread, which evaluations reuse."""
    if not hasattr(_local, "workspace"):
        _local.workspace = native.core().Workspace()
    return _local.workspace
