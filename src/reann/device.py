"""Where to compute: a device by name, one GPU for each process of a node, threads of the CPU."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reann.errors import UserError, counted


def device_named(name: str, where: str = "run.device") -> torch.device:
    """Return the device; `auto` takes a GPU when there is one, of several each process its own.

    Raises
    ------
    UserError
        For other names, and for a GPU that is not there.
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
        # torchrun gives every process of a node its number.
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    device = torch.device(name)
    if (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"There are {torch.cuda.device_count()} GPUs, fewer than {device} needs.",
            where,
            "Start one process for each GPU.",
        )
    torch.cuda.set_device(device)
    return device


@contextmanager
def gpu_restored() -> Iterator[None]:
    """Make the GPU that is current now the current one again at the end."""
    before = torch.cuda.current_device() if torch.cuda.is_initialized() else 0
    try:
        yield
    finally:
        if torch.cuda.is_initialized():
            torch.cuda.set_device(before)


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Let torch use so many threads of the CPU, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def memory_advice(n_atoms: int, n_edges: int, advice: str) -> Iterator[None]:
    """Turn the end of the GPU's memory into a message that says what was too much."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        free, total = (x / 2**30 for x in torch.cuda.mem_get_info())
        raise UserError(
            f"The GPU has no memory for {counted(n_atoms, 'atom')} with "
            f"{counted(n_edges, 'neighbor pair')} at once.",
            f"{free:.1f} of {total:.1f} GiB free",
            advice,
        ) from error
