"""Time tasks of several peers in turn, A, B, A, B, so that all see the machine alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from machine import OthersLoad
from process import Worker

BUSY = 0.3
"""Cores in use by others, above which times mean nothing."""
SHORTEST = 0.1
"""Seconds; quicker tasks are repeated until an answer takes so long."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one task of one peer."""

    peer: str
    threads: int
    task: str
    seconds: float
    """Median."""
    busy: float
    """Shortest processor time of all threads: other programs disturb it least."""
    spread: float
    """Half the range from the first to the third quartile, relative."""
    found: dict[str, Any]


def alternate(tasks: Sequence[tuple[Worker, str, dict[str, Any]]], repeats: int) -> dict[str, Any]:
    """Return the timings of the tasks and the load by others while they were measured."""
    times = []
    for worker, task, request in tasks:  # also warms up
        first = worker.ask(task, **request)["busy"]
        again = worker.ask(task, **request)["busy"] if first < 1.0 else first
        times.append(max(1, math.ceil(SHORTEST / again)))
    load = OthersLoad({worker.pid for worker, _, _ in tasks})
    answers: list[list[dict[str, Any]]] = [[] for _ in tasks]
    for _ in range(repeats):
        for (worker, task, request), n, own in zip(tasks, times, answers, strict=True):
            own.append(worker.ask(task, times=n, **request))
    others = load.mean()
    timings = [
        _median(worker, task, own) for (worker, task, _), own in zip(tasks, answers, strict=True)
    ]
    return {
        "load_of_others": others,
        "repeats": repeats,
        "timings": [asdict(t) for t in timings],
    }


def _median(worker: Worker, task: str, answers: list[dict[str, Any]]) -> Timing:
    seconds = [answer.pop("seconds") for answer in answers]
    busy = min(answer.pop("busy") for answer in answers)
    median = statistics.median(seconds)
    quartiles = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else [median] * 3
    spread = (quartiles[2] - quartiles[0]) / 2 / median
    peer = worker.peer
    return Timing(peer.name, peer.threads, task, median, busy, spread, answers[-1])
