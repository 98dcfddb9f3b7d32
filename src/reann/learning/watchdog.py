"""A limit of time for a calculation that may not return."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GRACE = 5.0
"""s; after so long beyond the limit the process ends in any case."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the processes that a calculation has started, and then its own, after a time.

    A calculation by another program fails when this program is ended. One inside the process cannot
    be interrupted, so the process ends, and Dask replaces the worker. Code that does not let other
    threads run is ended by `faulthandler`, which needs none.
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
