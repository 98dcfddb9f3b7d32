"""Devices by name, GPUs of the processes of a node, and CPU threads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reann.errors import UserError, counted


def device_named(name: str, where: str = "run.device") -> torch.device:
    """Return a device; `auto` is a GPU if there is one. Each process of a node has its own GPU.

    Raises
    ------
    UserError
        If the name is unknown or there is no such GPU.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"'{name}' is not a device.", where, "Write auto, cpu, cuda or cuda:1.")
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("There is no usable GPU.", where, "Write cpu or auto.")
    if name == "cuda":
        # torchrun numbers the processes of a node.
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    device = torch.device(name)
    if (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"There is no {device}: the number of GPUs is {torch.cuda.device_count()}.",
            where,
            "Start one process per GPU.",
        )
    torch.cuda.set_device(device)
    return device


@contextmanager
def gpu_restored() -> Iterator[None]:
    """Restore the current GPU at the end."""
    before = torch.cuda.current_device() if torch.cuda.is_initialized() else 0
    try:
        yield
    finally:
        if torch.cuda.is_initialized():
            torch.cuda.set_device(before)


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Let torch use this number of CPU threads temporarily."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def memory_advice(n_atoms: int, n_edges: int, advice: str) -> Iterator[None]:
    """Turn an out-of-memory error of the GPU into a `UserError` with advice."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        free, total = (x / 2**30 for x in torch.cuda.mem_get_info())
        raise UserError(
            f"The GPU does not have enough memory for {counted(n_atoms, 'atom')} with "
            f"{counted(n_edges, 'neighbor pair')}.",
            f"{free:.1f} of {total:.1f} GiB free",
            advice,
        ) from error
