"""Threads: energy and forces of water by the native engine on one and two, in turn.

    python benchmarks/scaling.py

Calls follow each other as in dynamics, so that caches are warm, which `speed.py` does not grant: it
asks other programs in between. Writes results/scaling.json; speed/page.py makes the table.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import ase
import numpy as np

from reann import native
from reann.backends.native.weights import new_model
from reann.config import ModelConfig
from reann.data.neighbors import neighbors_within
from reann.model import build

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import step  # noqa: E402

ROUNDS, CALLS = 5, {1: 20, 2: 6, 4: 2}


def main() -> None:
    core, timings = native.core(), []
    for form, settings in step.FORMS.items():
        model = build(ModelConfig(**settings), [1, 8], 99.0, seed=1)
        packed, workspace = new_model(model), core.Workspace()
        for copies, calls in CALLS.items():
            water = step.frame()
            atoms = ase.Atoms(
                water["numbers"], water["positions"], cell=water["cell"], pbc=water["pbc"]
            ).repeat(copies)
            atoms.rattle(0.02, seed=1)
            n, position = len(atoms), np.ascontiguousarray(atoms.positions)
            pairs = neighbors_within(position, atoms.cell.array, atoms.pbc, model.cutoff)
            element = model.element_index.numpy()[atoms.numbers].astype(np.int32)
            lists = (element, position, pairs.first, pairs.neighbor, pairs.shift, None, 1)
            results = (np.empty(n), np.empty((n, 3)), None, None)
            times: dict[int, list[float]] = {1: [], 2: []}
            for threads in list(times) * ROUNDS:
                for _ in range(calls):
                    start = time.perf_counter()
                    core.evaluate(packed, 0, workspace, *lists, threads, *results)
                    times[threads].append(1e6 * (time.perf_counter() - start) / n)
            one, two = (statistics.median(t) for t in times.values())
            timings.append({"model": form, "atoms": n, "one": one, "two": two, "ratio": one / two})
            print(f"{form:16} {n:6} atoms {one:6.2f} {two:6.2f} µs/atom, {one / two:.2f} x")
    (HERE / "results" / "scaling.json").write_text(json.dumps(timings, indent=1) + "\n")


if __name__ == "__main__":
    main()
