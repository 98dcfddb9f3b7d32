"""The weights of a model as the native engine keeps them: folded and packed when they change.

The engine always computes an energy. A model without one gets an energy of zero there.
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
from reann.config import ModelConfig, NetworkConfig
from reann.facts import DEFAULT_HEAD
from reann.model import Reann
from reann.model.heads import EnergyHead
from reann.model.restore import description
from reann.model.state_heads import Linear, StateHead, linear_of

BESIDE_ENGINE = ("long_range", "dispersion")
"""Fields of the section `model` about terms that are computed beside the engine."""
MEMBER = "0."
"""Before the names of the arrays, as in a file with one potential."""
SMALLEST = NetworkConfig(hidden=[1], blocks=0)
"""The readout of an energy of zero."""


Values = tuple[Linear, list[int]]
"""What makes values of the numbers that the engine reads off states, and how many each head has."""


class Snapshot:
    """A model of the extension with the weights of the moment it was made; it never changes.

    Attributes
    ----------
    values
        What makes the values of its heads of the numbers that the engine reads; None where heads
        do something else.
    """

    def __init__(self, model: Reann) -> None:
        self.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.model = new_model(model)
        every = list(model.output_heads.values())
        heads = [head for head in every if isinstance(head, StateHead)]
        with torch.no_grad():
            known = heads and len(heads) == len(every)
            self.values: Values | None = linear_of(heads) if known else None

    def has(self, state: Mapping[str, Tensor]) -> bool:
        """Whether these are the weights; optimizers change them without a trace in a tensor."""
        return all(
            w.dtype == state[name].dtype and torch.equal(w, state[name])
            for name, w in self.weights.items()
        )


_snapshots: WeakKeyDictionary[Reann, Snapshot] = WeakKeyDictionary()
_local = threading.local()


def snapshot(model: Reann) -> Snapshot:
    """Return the model for the native engine, made anew if its weights have changed."""
    known = _snapshots.get(model)
    if known is None or not known.has(dict(tensors_of(model))):
        known = _snapshots[model] = Snapshot(model)
    return known


def tensors_of(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield what `state_dict` has, in a third of the time: it is asked at every evaluation."""
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
    """Return the weights as the extension names them."""
    tensors = model.state_dict()
    if not len(model.heads):
        sizes = len(model.elements), model.recursion.width
        tensors = zero_energy(*sizes, model.config.channels, model.dtype) | tensors
    return {f"{MEMBER}{k}": v.contiguous().numpy() for k, v in tensors.items()}


@cache
def zero_energy(
    n_elements: int, width: int, channels: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return the weights of a head of equivariant messages whose energy is zero."""
    config = ModelConfig(channels=channels, n_recursions=width // channels - 1, readout=SMALLEST)
    head = EnergyHead(config, n_elements, width)
    return {
        f"heads.{DEFAULT_HEAD}.{name}": tensor.to(
            torch.float64 if name in EnergyHead.DOUBLE else dtype
        )
        for name, tensor in head.state_dict().items()
    }


def workspace() -> Any:
    """Return the memory that the evaluations of this thread reuse."""
    if not hasattr(_local, "workspace"):
        _local.workspace = native.core().Workspace()
    return _local.workspace
