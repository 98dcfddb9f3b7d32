"""What an epoch of `reann train` spends on loading and on metrics."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ase
import ase.io
import numpy as np
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from worker import Task, serve

import reann
from reann.config import Config
from reann.data.loader import Loader
from reann.evaluation.metrics import Errors
from reann.training import loop, run
from reann.training.journal import read_log

FRAMES = 48
EPOCHS = 3
SIZE = {"cutoff": 6.2, "l_max": 2, "n_radial": 12, "n_recursions": 3, "features": "gram"}


def load(atoms: ase.Atoms, threads: int, engine: str) -> tuple[dict[str, str], dict[str, Task]]:
    folder = Path(tempfile.mkdtemp(prefix="reann-epoch-"))
    ase.io.write(folder / "water.xyz", frames(atoms))
    calls = iter(range(10**6))

    def epoch() -> dict[str, Any]:
        return measured(
            Config(
                data={"train": str(folder / "water.xyz"), "valid": 0.25},
                model=SIZE,
                training={"epochs": EPOCHS, "batch_size": 4},
                run={
                    "folder": str(folder / f"run-{next(calls)}"),
                    "threads": threads,
                    "engine": engine,
                },
            )
        )

    return {"reann": reann.__version__, "torch": torch.__version__}, {"epoch": epoch}


def measured(config: Config) -> dict[str, float]:
    """Train, and return seconds of an epoch after the first and parts of it."""
    spent = {"loading": 0.0, "metrics": 0.0}
    with ExitStack() as stack:
        timed = _timed(spent, "metrics")
        stack.enter_context(patch.object(loop, "residuals", timed(loop.residuals)))
        stack.enter_context(patch.object(Errors, "add", timed(Errors.add)))
        graphs = _waiting(spent, Loader.graphs)
        stack.enter_context(patch.object(Loader, "graphs", graphs))
        folder = run.train(config).folder
    times = [row["seconds"] for row in read_log(folder / "log.csv")]
    epochs = [after - before for before, after in pairwise(times)]
    share = sum(spent.values()) / times[-1]
    return {"epoch_seconds": float(np.median(epochs)), "share": share}


def frames(atoms: ase.Atoms) -> list[ase.Atoms]:
    """Return rattled copies of the structure with random labels."""
    random, copies = np.random.default_rng(1), []
    for _ in range(FRAMES):
        moved = atoms.copy()
        moved.positions += random.normal(scale=0.02, size=moved.positions.shape)
        forces = random.normal(size=moved.positions.shape)
        moved.calc = SinglePointCalculator(moved, energy=random.normal(), forces=forces)
        copies.append(moved)
    return copies


def _timed(spent: dict[str, float], name: str) -> Callable[[Callable], Callable]:
    def decorate(function: Callable) -> Callable:
        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments)
            spent[name] += time.perf_counter() - start
            return result

        return timed

    return decorate


def _waiting(spent: dict[str, float], function: Callable) -> Callable:
    def graphs(*arguments: Any) -> Iterator:
        source = function(*arguments)
        while True:
            start = time.perf_counter()
            graph = next(source, None)
            spent["loading"] += time.perf_counter() - start
            if graph is None:
                return
            yield graph

    return graphs


if __name__ == "__main__":
    serve(load)
