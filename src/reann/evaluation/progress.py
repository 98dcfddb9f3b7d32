"""Progress bar for predictions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress, TaskID

from reann.terminal import Terminal


@contextmanager
def progress_bar(
    total: int | None = None, what: str = "predicting"
) -> Iterator[tuple[Progress, TaskID]]:
    """Yield a progress bar on standard error and its task; it disappears at the end."""
    quiet = not sys.stderr.isatty()
    with Progress(console=Terminal(stderr=True), transient=True, disable=quiet) as bar:
        yield bar, bar.add_task(what, total=total)
