"""A defined state of PyTorch, independent of the calling program.

Inside `torch.inference_mode`, nothing can be differentiated, including tensors made there. A forked
process has the thread pool of its parent without the threads, for which it would wait forever.
`torch.autocast` would compute networks in half precision.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

IMPORTED_IN = os.getpid()
"""Id of the process that imported this module, to detect forks."""


@contextmanager
def differentiable() -> Iterator[None]:
    """Compute outside of inference mode and autocast, and with one thread in a forked process."""
    if os.getpid() != IMPORTED_IN and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
    with ExitStack() as modes:
        if torch.is_inference_mode_enabled():
            modes.enter_context(torch.inference_mode(mode=False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                modes.enter_context(torch.autocast(device, enabled=False))
        yield


def ordinary(tensor: Tensor) -> Tensor:
    """Return the tensor, or a copy if it was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor
