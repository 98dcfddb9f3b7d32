"""Time limit for calculations."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GRACE = 5.0
"""Time after the limit when the process is ended in any case, s."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the time of a calculation, in seconds.

    At the limit, child processes are killed: a calculation by an external program then fails. A
    calculation inside this process cannot be interrupted, so the process ends and Dask replaces
    the worker. `faulthandler` ends code that does not release the interpreter to other threads.
    """
    timer = threading.Timer(seconds, _end)
    timer.daemon = True
    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=nowhere)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            faulthandler.cancel_dump_traceback_later()


def _end() -> None:
    import psutil

    children = psutil.Process().children(recursive=True)
    for child in children:
        child.kill()
    if not children:
        os._exit(1)
