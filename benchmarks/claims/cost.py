"""What a recursion costs: time and memory of every host, with T and with messages.

Energies and forces, and a step of a training, for 192 atoms of water in float32 on one thread; the
density also on the native engine. Each row runs in a process of its own, whose memory is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import hosts
import torch
from sets import SETS

from reann.backends import choice
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model.reann import in_precision

REPEATS = 7
CASES = [
    (host, t, messages, engine)
    for host, t, messages in product(hosts.HOSTS, range(4), ("scalar", "directional"))
    for engine in ("torch", "native")
    if messages == "scalar" or (t > 0 and host in hosts.OF_MOMENTS)
    if engine == "torch" or host.startswith("density")
]


def rows(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield a row for each host, T, message and engine."""
    for case in CASES:
        host, t, messages, engine = case
        yield f"{host}, T={t}, {messages}, {engine}", partial(apart, case, arguments.data)


def apart(case: tuple[str, int, str, str], data: Path) -> dict[str, Any]:
    """Measure in another process."""
    command = [sys.executable, __file__, json.dumps(case), str(data)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(  # noqa: S603 - this file
        command, check=True, capture_output=True, text=True, env=environment
    )
    return json.loads(done.stdout)


def measure(host: str, t: int, messages: str, engine: str, data: Path) -> dict[str, Any]:
    """Return times in microseconds per atom and memory in KiB per atom."""
    import ase.io

    torch.set_num_threads(1)
    file = SETS["water-pbe0"].train_files(data)[0]
    settings = hosts.HOSTS[host] | {"n_recursions": t}
    if messages == "directional":
        settings = settings | {"messages": messages}
    model = in_precision(hosts.model(settings, [1, 8], 1), torch.float32)
    atoms = ase.io.read(file, 0)
    graph = graph_from_atoms(atoms, model.cutoff)
    before = _memory()
    used = timed(lambda: choice.evaluate(model, graph, ["energy", "forces"], engine=engine))
    memory = _memory() - before
    step = timed(lambda: train_step(model, graph, engine))
    return {
        "host": host,
        "T": t,
        "messages": messages,
        "engine": engine,
        "neighbors": graph.n_edges / graph.n_atoms,
        "us_per_atom": 1e6 * used / graph.n_atoms,
        "KiB_per_atom": memory / graph.n_atoms,
        "step_us_per_atom": 1e6 * step / graph.n_atoms,
        "step_KiB_per_atom": (_memory() - before) / graph.n_atoms,
    }


def train_step(model: torch.nn.Module, graph: Graph, engine: str) -> None:
    """Compute the gradients of a loss of energies and forces."""
    results = choice.evaluate(model, graph, ["energy", "forces"], create_graph=True, engine=engine)
    (results["energy"].square().sum() + results["forces"].square().sum()).backward()


def timed(work: Callable[[], object]) -> float:
    """Return the median time in seconds, after a run that is not counted."""
    times = []
    for _ in range(REPEATS + 1):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


def _memory() -> int:
    """Return the most memory that the process ever had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    (host, t, messages, engine), data = json.loads(sys.argv[1]), Path(sys.argv[2])
    print(json.dumps(measure(host, t, messages, engine, data)))
