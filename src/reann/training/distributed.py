"""Communication between several processes.

They are started by ``torchrun --nproc-per-node=N -m reann train ...``. The loss is divided by the
counts of the global batch, so gradients are summed, not averaged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor, distributed

LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True)
class World:
    """The processes of a run."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its sum over the processes, in one message."""
        parameters = list(parameters)
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        if self.size == 1:
            return
        # One buffer per dtype, in the same order in all processes: reference energies are float64,
        # networks may be float32.
        for dtype in dict.fromkeys(p.dtype for p in parameters):
            grads = [p.grad for p in parameters if p.dtype == dtype and p.grad is not None]
            flat = torch.cat([g.view(-1) for g in grads])
            distributed.all_reduce(flat)
            for g, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
                g.copy_(part.view_as(g))

    def add(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of an array over the processes."""
        if self.size == 1:
            return values
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        total = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)).to(device)
        distributed.all_reduce(total)
        return total.cpu().numpy()

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        return bool(self.add(np.array([float(flag)]))[0] > 0) if self.size > 1 else flag

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Copy the values of the leading process to all processes."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), 0)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            distributed.barrier()


def n_processes() -> int:
    """Return the number of processes started by torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def world(device: torch.device) -> Iterator[World]:
    """Join the processes started by torchrun; gloo on CPUs, nccl on GPUs."""
    size = n_processes()
    if size == 1:
        yield World()
        return
    # The other processes wait while the leading process reads data and writes the report.
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=LONGEST_WAIT)
    try:
        yield World(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
