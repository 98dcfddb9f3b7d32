"""Output of a run: lines or a live table on the terminal, `log.csv`, and a tracker.

Only the leading process prints and writes.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import math
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from rich.text import Text

from reann.atomic_file import open_no_link, replacing
from reann.error_measures import key
from reann.errors import UserError, counted
from reann.live import Area, area_of
from reann.quantities import Quantity, labels
from reann.terminal import Terminal, is_gone
from reann.training.trackers import Tracker

Row = dict[str, float]
"""An epoch: epoch, learning_rate, errors with units in their names, seconds."""

SHOWN_ROWS = 15
WIDTH = 80
TICK = 0.2
"""Seconds between updates of a live terminal within an epoch."""
WIDTHS = {"epoch": 5, "lr": 7, "best": 4, "time": 7}
"""Widths of columns; those of errors have at least eight characters."""
REPAIR_LOG = "Restore the file or the line, or move log.csv away: a run can continue without it."


class Display(Terminal):
    """A terminal that leaves a broken pipe to the caller; rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Raise the error again."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Journal:
    """Terminal and `log.csv` of a run."""

    def __init__(self, folder: Path, *, writes: bool, tracker: Tracker | None = None) -> None:
        self.path, self.writes, self.tracker = folder / "log.csv", writes, tracker
        self.console = Display(quiet=not writes)
        self.rows: list[Row] = []
        self.live: Area | None = None
        self.names: list[str] = []
        self.ticked = 0.0
        self.remaining: float | None = None
        """Seconds until the last epoch, if known."""
        self.epochs: int | None = None
        """Number of epochs, if known."""

    def write(self, text: str) -> None:
        """Print a line."""
        self._display(lambda: self.console.write(text))

    def open(self, last_epoch: int) -> None:
        """Continue `log.csv` after an epoch; later rows are removed."""
        if self.writes and self.path.exists():
            self.rows = [row for row in read_log(self.path) if row["epoch"] <= last_epoch]
            with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
                writer = csv.writer(file)
                if self.rows:
                    writer.writerow(self.rows[0])
                writer.writerows(row.values() for row in self.rows)
        self.live = area_of(self.console)
        if self.live:
            self._display(self.live.start)

    def add(self, row: Row) -> None:
        """Write and print the row of an epoch."""
        self.rows.append(row)
        if not self.writes:
            return
        self._append(row)
        if self.tracker:
            watcher = self.tracker
            self._send(lambda: watcher.log(row, int(row["epoch"])))
        if self.live:
            self._show_live(int(row["epoch"]))
        else:
            if self.rows[0] is row or not self.names:
                self.names = _errors_in([row])
                number = f" · {counted(self.epochs, 'epoch')}" if self.epochs else ""
                self.write(f"{_caption(self.names)}{number}\n{_headings(self.names)}")
            line, left = _line(_cells(row, self.names)), self._left()
            self.write(line + left if len(line + left) <= WIDTH else line)

    def tick(self, epoch: int, step: int, steps: int) -> None:
        """Show the progress of an epoch on a live terminal, a few times per second."""
        if self.live and time.monotonic() - self.ticked >= TICK:
            self.ticked = time.monotonic()
            self._show_live(epoch, f", step {step} of {steps}")

    def close(self) -> None:
        """Close the live table and the tracker."""
        if self.live:
            self._display(self.live.stop)
            self.live = None
        if self.tracker:
            self._send(self.tracker.close)

    def _send(self, send: Callable[[], None]) -> None:
        """Send something to the tracker; if it fails, the training continues without it."""
        try:
            send()
        except Exception as error:  # noqa: BLE001 - any error of a network or an account
            self.tracker = None
            self.write(f"warning   The tracker failed and is not used any more: {error}")

    def _show_live(self, epoch: int, step: str = "") -> None:
        """Show epoch and remaining time, and the last rows under their headings."""
        rows = self.rows[-SHOWN_ROWS:]
        names = _errors_in(rows)
        number = f" of {self.epochs}" if self.epochs else ""
        lines = [f"epoch {epoch}{number}{step}{self._left()}", _caption(names), _headings(names)]
        text = "\n".join([*lines, *(_line(_cells(row, names)) for row in rows)])
        assert self.live is not None
        live, table = self.live, Text(text, no_wrap=True, overflow="crop")
        self._display(lambda: live.show(table))

    def _display(self, show: Callable[[], None]) -> None:
        """Show something; the run continues if its terminal or the reader of a pipe is gone."""
        try:
            show()
        except OSError as error:
            if not is_gone(error):
                raise
            self.console.discard()

    def _left(self) -> str:
        """Return the remaining time, such as `  12 min left`; empty if unknown."""
        seconds = self.remaining
        if not seconds:
            return ""
        if seconds < 99.5:
            return f"  {seconds:.0f} s left"
        hours = seconds / 3600.0
        return f"  {60 * hours:.0f} min left" if hours < 2.0 else f"  {hours:.1f} h left"

    def _append(self, row: Row) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            file = os.fdopen(open_no_link(self.path, os.O_WRONLY | os.O_APPEND), "a", newline="")
            with file:
                writer = csv.writer(file)
                if size == 0:
                    writer.writerow(row)
                writer.writerow(row.values())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)  # remove an incomplete row
            raise UserError(
                f"log.csv could not be written: {error.strerror}.",
                str(self.path),
                "Free some space, then continue with `reann resume`.",
            ) from error


def read_log(path: Path) -> list[Row]:
    """Return the rows of a `log.csv`; an incomplete last line is ignored.

    Raises
    ------
    UserError
        If another line is damaged.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            names, *lines = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"The log cannot be read: {error}.", str(path), REPAIR_LOG) from error
    rows: list[Row] = []
    for number, line in enumerate(lines, start=2):
        whole = len(line) == len(names) and all(line)
        try:
            if whole:
                rows.append({name: float(x) for name, x in zip(names, line, strict=True)})
        except ValueError:
            whole = False
        if not whole and number <= len(lines):
            raise UserError("A line of the log is damaged.", f"{path}, line {number}", REPAIR_LOG)
    if rows and not {"epoch", "seconds", "learning_rate"} <= set(names):
        raise UserError("The log has no column names.", f"{path}, line 1", REPAIR_LOG)
    return rows


@cache
def columns() -> dict[str, tuple[str, Quantity]]:
    """Return part and label of each error that can be shown, by its name in a row."""
    return {
        f"{part}_{key(quantity.name, 'rmse')}": (part, quantity)
        for part in ("train", "valid")
        for quantity in labels()
    }


def _errors_in(rows: list[Row]) -> list[str]:
    """Return the names of the errors to show, as many as fit.

    If there is not enough space, only validation errors are shown; `log.csv` has all errors.
    """
    names = [name for name in columns() if any(name in row for row in rows)]
    if len(_headings(names)) > WIDTH:
        names = [name for name in names if columns()[name][0] == "valid"]
    while len(_headings(names)) > WIDTH:
        names.pop()
    return names


def _caption(names: list[str]) -> str:
    """Return a caption with the units of the errors."""
    shown = dict.fromkeys(columns()[name][1] for name in names)
    return "RMSE: " + " · ".join(f"{q.short} {q.error_unit.shown}" for q in shown)


def _headings(names: list[str]) -> str:
    parts = {name: columns()[name] for name in names}
    errors = {name: f"{part} {quantity.short}" for name, (part, quantity) in parts.items()}
    return _line({"epoch": "epoch", "lr": "lr", **errors, "best": "best", "time": "time"})


def _cells(row: Row, names: list[str]) -> dict[str, str]:
    """Return the text of each column."""
    minutes, seconds = divmod(int(row["seconds"]), 60)
    # The validation before the first epoch is trivially the best.
    best = "*" if row.get("best") and row["epoch"] > 0 else ""
    return {
        "epoch": f"{row['epoch']:.0f}",
        "lr": f"{row['learning_rate']:.1e}",
        **{name: _error(row.get(name, math.nan)) for name in names},
        "best": best,
        "time": f"{minutes:02d}:{seconds:02d}",
    }


def _error(value: float) -> str:
    """Return an error in at most eight characters."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.2f}" if abs(value) < 1e5 else f"{value:.2e}"


def _line(cells: dict[str, str]) -> str:
    return " ".join(cell.rjust(_width(name)) for name, cell in cells.items())


def _width(name: str) -> int:
    if name in WIDTHS:
        return WIDTHS[name]
    part, quantity = columns()[name]
    return max(8, len(f"{part} {quantity.short}"))
