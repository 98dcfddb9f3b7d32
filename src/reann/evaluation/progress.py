"""Progress bar for predictions."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import Progress, TaskID

from reann.live import NotebookArea, in_notebook
from reann.terminal import Terminal

TICK = 0.3
"""Seconds between updates in a notebook."""


class NotebookProgress(Progress):
    """A progress bar in one output of a notebook."""

    def __init__(self) -> None:
        super().__init__(disable=True)
        self.area, self.shown = NotebookArea(), 0.0

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advance a task, and show it a few times per second."""
        super().advance(task_id, advance)
        if time.monotonic() - self.shown >= TICK or self.finished:
            self.shown = time.monotonic()
            self.area.show(self.get_renderable())

    def stop(self) -> None:
        """Remove the bar."""
        self.area.clear()
        super().stop()


@contextmanager
def progress_bar(
    total: int | None = None, what: str = "predicting"
) -> Iterator[tuple[Progress, TaskID]]:
    """Yield a progress bar and its task; on standard error, where it disappears at the end."""
    options: dict[str, Any] = {"transient": True, "disable": not sys.stderr.isatty()}
    if in_notebook():
        bar: Progress = NotebookProgress()
    else:
        bar = Progress(console=Terminal(stderr=True), **options)
    with bar:
        yield bar, bar.add_task(what, total=total)
