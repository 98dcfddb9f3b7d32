"""Signals that request a training to save and stop: Ctrl-C, and those of queues and terminals.

The same request often arrives more than once: a queue signals all processes, and the launcher of
these processes forwards its own signal to them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

REQUESTS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,  # Grid Engine, before it kills
    signal.SIGXCPU,  # a limit of computing time
)
MOMENT = 1.0
"""Seconds after the first request during which another Ctrl-C is considered part of it."""


class Interrupted(KeyboardInterrupt):
    """The run was requested to stop and has been saved."""


@dataclass
class StopRequest:
    """Whether the run was requested to save and stop."""

    requested: bool = False


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn signals into a request to save and stop.

    Further signals are ignored, so that they cannot end the process before it has saved; only
    another Ctrl-C, more than `MOMENT` after the first request, ends the process at once. Signals
    that were ignored before, such as SIGHUP under nohup, remain ignored.
    """
    stop, previous = StopRequest(), {}
    first = 0.0

    def request(number: int, _frame: object) -> None:
        nonlocal first
        if not stop.requested:
            stop.requested, first = True, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - first > MOMENT:
            signal.default_int_handler(number, None)

    try:
        for number in REQUESTS:
            # None: a handler that was not installed from Python cannot be restored.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                previous[number] = signal.signal(number, request)
    except ValueError:  # not the main thread: the caller handles signals
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
