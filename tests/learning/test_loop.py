"""A loop with real labels equals the undisturbed one, whatever is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from loops import assert_same_loop, assert_same_weights, write_loop
from reann.learning.folders import read_json
from runs import environment

PATIENCE = 600.0
PHASES = {
    "labels of the first structures": "iteration-000/calculations/0001.json",
    "first training": "iteration-000/run/last.ckpt.safetensors",
    "exploration": "iteration-001/explored/*.json",
    "choice": "iteration-001/chosen.xyz",
    "labels": "iteration-001/calculations/0001.json",
    "training": "iteration-001/run/last.ckpt.safetensors",
    "final training": "iteration-001/final/last.ckpt.safetensors",
}
"""A file that says that a phase is going on, or has just ended."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, scheduler_kwargs={"dashboard": False}, silence_logs=50
    ) as made:
        yield made


def start(file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "reann", "learn", file.name],
        cwd=file.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(file: Path) -> str:
    process = start(file)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    return out


def kill_when(process: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    """Kill a process as soon as it has written a file."""
    begun = time.monotonic()
    while not any(folder.glob(pattern)):
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_loop_survives_kills_of_workers_and_of_its_own_process(tmp_path: Path, cluster) -> None:
    """A worker dies in a calculation, the process in each phase; the result is the same."""
    whole = write_loop(tmp_path / "whole")
    assert "the budget of 1 iteration is spent" in finish(whole)
    broken = write_loop(tmp_path / "broken", f"scheduler: '{cluster.scheduler_address}'")
    pids = {worker.pid for worker in cluster.workers.values()}
    (broken.parent / "killed").touch()  # the next calculation kills its worker
    folder = broken.parent / "loops" / "loop"
    for pattern in PHASES.values():
        kill_when(start(broken), folder, pattern)
    finish(broken)
    assert {worker.pid for worker in cluster.workers.values()} != pids
    assert_same_loop(whole.parent / "loops" / "loop", folder)
    summary = read_json(folder / "iteration-001" / "summary.json")
    assert summary["labels"] == 4
    assert summary["failures"] == {}
    assert not list(folder.glob("**/.*.tmp"))
    page = (folder / "loop.html").read_text()
    assert "The loop has ended: the budget of 1 iteration is spent." in page
    assert "trained from scratch" in page
    errors = read_json(folder / "iteration-001" / "final.json")
    better = min(("final", "last"), key=lambda name: errors[name]["forces_rmse_meV_per_A"])
    place = folder / "iteration-001" / {"final": "final", "last": "run"}[better]
    assert_same_weights(folder / "model.reann", place / "model.reann", "potential")
    again = finish(broken)  # nothing is left to do
    assert "iteration 1" not in again
    assert (folder / "model.reann").exists()
