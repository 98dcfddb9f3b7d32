"""A process that runs many commands of reann."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import reann
from preloaded import Preloaded, preloaded

Finish = Callable[[list[str]], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def program() -> Iterator[Preloaded]:
    """Return a process that has imported PyTorch once, for all commands."""
    source = Path(reann.__file__).parents[1]
    with preloaded({**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}) as started:
        yield started


@pytest.fixture
def finish(program: Preloaded, tmp_path: Path) -> Finish:
    """Return a function that runs a command of reann to its end."""

    def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return program.run(arguments, tmp_path, COLUMNS="200")

    return run
