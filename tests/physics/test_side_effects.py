"""A training in Python leaves the process of its caller as it was."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reann
from reann.config import Config
from reann.errors import UserError
from reann.training import opening
from reann.training.run import resume, train
from runs import small


def state_of_the_process() -> dict[str, Any]:
    """Return everything that code far away from a training can depend on."""
    signals = [number for number in signal.valid_signals() if number != signal.SIGKILL]
    return {
        "threads of torch": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "anomalies": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision of products": torch.get_float32_matmul_precision(),
        "denormal numbers": float(torch.tensor([1e-320], dtype=torch.float64) * 1.0),
        "random numbers of torch": torch.get_rng_state().tolist(),
        "random numbers of numpy": repr(np.random.get_state()),  # noqa: NPY002
        "errors of numpy": np.geterr(),
        "printing": (np.get_printoptions(), vars(torch._tensor_str.PRINT_OPTS).copy()),
        "warnings": list(warnings.filters),
        "signals": {number: signal.getsignal(number) for number in signals},
        "working folder": Path.cwd(),
        "environment": dict(os.environ),
        "path of modules": list(sys.path),
        "limits": (sys.getrecursionlimit(), threading.stack_size()),
        "hooks": (sys.excepthook, sys.displayhook, threading.excepthook),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "threads": {thread.name for thread in threading.enumerate()},
        "open files": sorted(_open_files()),
        "files mode": _umask(),
    }


def _open_files() -> list[str]:
    """Return files that are open for writing or locked; caches stay mapped while data are used."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:  # that of the listing itself
            continue
        if target.startswith("/") and not target.endswith(".raw") and "/proc/" not in target:
            found.append(target)
    return found


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def stopped_by_an_error(folder: Path) -> None:
    with pytest.raises(UserError, match="There is already a run"):
        train(small(folder, engine="native"))
    with pytest.raises(UserError, match="no groups"):
        train(small(folder.with_name("other"), valid={"groups": ["none"]}))


def again(folder: Path) -> None:
    resume(folder, ["training.epochs=3"])


RUNS: dict[str, Callable[[Path], object]] = {
    "native": lambda folder: train(small(folder, epochs=2, engine="native", threads=2)),
    "resume": again,
    "torch": lambda folder: train(small(folder.with_name("torch"), epochs=1, engine="torch")),
    "ensemble": lambda folder: train(small(folder.with_name("two"), epochs=1, seeds=2)),
    "float64": lambda folder: train(small(folder.with_name("t"), epochs=1, precision="float64")),
    "error": stopped_by_an_error,
}


def test_a_training_leaves_the_state_of_the_process_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    differences = {}
    RUNS["torch"](tmp_path / "first" / "run")  # imports what is imported once
    for name, run in RUNS.items():
        before = state_of_the_process()
        run(tmp_path / "run")
        after = state_of_the_process()
        differences[name] = {k: (v, after[k]) for k, v in before.items() if v != after[k]}
    assert {name: found for name, found in differences.items() if found} == {}


def test_the_random_numbers_of_python_are_not_used():
    # Under pytest beartype draws from them, so that their state tells nothing.
    for path in Path(reann.__file__).parent.rglob("*.py"):
        assert not re.search(r"^\s*(import|from) random\b", path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize("used_before", [False, True])
def test_a_training_on_a_gpu_leaves_the_current_gpu_as_it_was(tmp_path, monkeypatch, used_before):
    current = [3 if used_before else 0]
    used = [used_before]

    def set_device(device: torch.device | int) -> None:
        used[0], current[0] = True, getattr(device, "index", device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used[0])
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "set_device", set_device)
    config = Config(data={"train": "a"}, run={"folder": tmp_path / "run", "device": "cuda:1"})
    with opening.place_of(config) as (_, device):
        assert (device.index, current) == (1, [1])
    assert current == [3 if used_before else 0]
