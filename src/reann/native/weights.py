"""The weights of a model as the native engine keeps them: folded and packed when they change."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from reann import native, strict_json
from reann.model import Reann
from reann.model.restore import description

MEMBER = "0."
"""Before the names of the arrays, as in a file with one potential."""


class Compiled:
    """A model of the native engine, with the weights of the moment it was made."""

    def __init__(self, model: Reann, state: Mapping[str, Tensor] | None = None) -> None:
        state = model.state_dict() if state is None else state
        self.weights = {name: tensor.clone() for name, tensor in state.items()}
        arrays = {f"{MEMBER}{k}": v.contiguous().numpy() for k, v in self.weights.items()}
        self.model = native.core().Model(
            strict_json.dumps(description(model) | {"members": [{}]}), arrays
        )

    def has(self, state: Mapping[str, Tensor]) -> bool:
        """Whether these are the weights; optimizers change them without a trace in a tensor."""
        return all(
            w.dtype == state[name].dtype and torch.equal(w, state[name])
            for name, w in self.weights.items()
        )


_compiled: WeakKeyDictionary[Reann, Compiled] = WeakKeyDictionary()
_local = threading.local()


def compiled(model: Reann) -> Compiled:
    """Return the model for the native engine, packed anew if its weights have changed."""
    known, state = _compiled.get(model), model.state_dict()
    if known is None or not known.has(state):
        known = _compiled[model] = Compiled(model, state)
    return known


def workspace() -> Any:
    """Return the memory that the evaluations of this thread reuse."""
    if not hasattr(_local, "workspace"):
        _local.workspace = native.core().Workspace()
    return _local.workspace
