"""The weights of a model as the native engine keeps them: folded and packed when they change."""

from __future__ import annotations

import json
import threading
from typing import Any
from weakref import WeakKeyDictionary

import torch

from reann import native
from reann.model import Reann
from reann.model.restore import description

MEMBER = "0."
"""Before the names of the arrays, as in a file with one potential."""


class Compiled:
    """A model of the native engine, with the weights of the moment it was made."""

    def __init__(self, model: Reann) -> None:
        self.weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
        arrays = {f"{MEMBER}{k}": v.contiguous().numpy() for k, v in self.weights.items()}
        self.model = native.core().Model(json.dumps(description(model) | {"members": [{}]}), arrays)

    def is_of(self, model: Reann) -> bool:
        """Whether the model still has these weights."""
        now = model.state_dict()
        return all(
            w.dtype == now[name].dtype and torch.equal(w, now[name])
            for name, w in self.weights.items()
        )


_compiled: WeakKeyDictionary[Reann, Compiled] = WeakKeyDictionary()
_local = threading.local()


def compiled(model: Reann) -> Compiled:
    """Return the model for the native engine, packed anew if its weights have changed."""
    known = _compiled.get(model)
    if known is None or not known.is_of(model):
        known = _compiled[model] = Compiled(model)
    return known


def workspace() -> Any:
    """Return the memory that the evaluations of this thread reuse."""
    if not hasattr(_local, "workspace"):
        _local.workspace = native.core().Workspace()
    return _local.workspace
