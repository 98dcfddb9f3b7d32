"""The side of a peer: it loads a structure and its model, then does what it is asked and times it.

A peer is a script that runs in an environment of its own, as

    python peer.py SYSTEM.xyz '{"threads": 1, ...}' 1

Each line on standard input is a request, `{"do": TASK, "times": 3, ...}`; each line written to the
file descriptor named last is an answer, `{"seconds": ..., "busy": ..., ...}`: the seconds and the
processor seconds of one call, and what the task found. The first line says that the peer is ready
and what it is.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import ase
import ase.io
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

Task = Callable[..., "dict[str, Any] | None"]

TIMESTEP = 0.5  # fs
FRICTION = 0.05 / units.fs


def serve(load: Callable[..., tuple[dict[str, str], dict[str, Task]]]) -> None:
    """Answer requests until standard input ends.

    `load(atoms, threads=..., ...)` gives the versions of what computes, and the tasks by name.
    """
    answers = os.fdopen(int(sys.argv[3]), "w", buffering=1, encoding="utf-8")
    try:
        versions, tasks = load(ase.io.read(sys.argv[1]), **json.loads(sys.argv[2]))
        print(json.dumps({"tasks": list(tasks), "versions": versions}), file=answers)
        for line in sys.stdin:
            print(json.dumps(_answer(tasks, **json.loads(line))), file=answers)
    except Exception:  # noqa: BLE001 - any error of a peer is reported to the driver
        print(json.dumps({"error": traceback.format_exc(limit=-4)}), file=answers)


def _answer(tasks: dict[str, Task], do: str, times: int = 1, **arguments: Any) -> dict[str, Any]:
    task, result = tasks[do], None
    start, busy = time.perf_counter(), time.process_time()
    for _ in range(times):
        result = task(**arguments)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return {"seconds": seconds / times, "busy": busy / times, **(result or {})}


def through_ase(atoms: ase.Atoms, calculator: Any) -> dict[str, Task]:
    """Return the tasks of any ASE calculator: one evaluation after a small move, and dynamics."""
    moving, places = atoms.copy(), [atoms.positions.copy(), atoms.positions + 1e-7]
    moving.calc = calculator

    def ase_call() -> None:
        places.reverse()  # ASE answers from memory if nothing has moved
        moving.positions = places[0]
        moving.get_potential_energy()
        moving.get_forces()

    warm = atoms.copy()
    warm.calc = calculator

    def thermalize(steps: int) -> None:
        """Bring the structure to 300 K: every potential has its own structure of water."""
        random, bath = np.random.default_rng(1), {"temperature_K": 300.0, "friction": FRICTION}
        Langevin(warm, TIMESTEP * units.fs, rng=random, **bath).run(steps)

    def trajectory(steps: int) -> dict[str, float]:
        """NVE, always from the same start."""
        moved = warm.copy()
        moved.calc = calculator
        dynamics, temperatures = VelocityVerlet(moved, TIMESTEP * units.fs), []
        dynamics.attach(lambda: temperatures.append(moved.get_temperature()), interval=10)
        dynamics.run(steps)
        return {"temperature": sum(temperatures) / len(temperatures)}

    return {"ase_call": ase_call, "thermalize": thermalize, "trajectory": trajectory}
