"""A table that grows during a run: live on a terminal, plain lines otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import final

from rich.table import Table

from reann.live import area_of
from reann.terminal import Terminal

SHOWN_ROWS = 20
NARROWEST = 6
"""Characters, of a column."""


@final
class GrowingTable:
    """Rows of text under headings; use as a context manager.

    Parameters
    ----------
    headings
        One per column: its name, and on a second line its unit. A column is as wide as its
        heading, at least `NARROWEST`.
    quiet
        Print nothing.
    """

    def __init__(self, headings: Sequence[str], *, quiet: bool = False) -> None:
        self.headings = list(headings)
        self.rows: list[list[str]] = []
        self.console = Terminal(quiet=quiet)
        self.live = area_of(self.console)

    def write(self, text: str) -> None:
        """Print a line outside the table."""
        self.console.write(text)

    def add(self, row: Sequence[str]) -> None:
        """Show one more row."""
        self.rows.append(list(row))
        if self.live:
            table = Table(*self.headings, box=None, pad_edge=False)
            for column in table.columns:
                column.justify = "right"
            for shown in self.rows[-SHOWN_ROWS:]:
                table.add_row(*shown)
            self.live.show(table)
        else:
            self.write(self._line(row))

    def __enter__(self) -> GrowingTable:
        if self.live:
            self.live.start()
        else:
            for line in zip(*(heading.split("\n") for heading in self.headings), strict=True):
                self.write(self._line(line))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.live.stop()

    def _line(self, cells: Sequence[str]) -> str:
        lines = (heading.split("\n") for heading in self.headings)
        widths = [max(NARROWEST, *map(len, names)) for names in lines]
        return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
