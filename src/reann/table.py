"""`Table`: the numbers of a result, with units in the names of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from reann.terminal import printable

MOST_ROWS = 20
"""Maximum number of rows that are shown; others are left out in the middle."""
Cell = str | int | float | None


@dataclass(frozen=True, repr=False)
class Table:
    """Rows of numbers and words; `pandas.DataFrame(table.columns)` is a data frame of it.

    Attributes
    ----------
    names
        Of the columns, with units, such as `energy, eV`.
    rows
        A cell for each name; None where there is no value.
    formats
        Of the numbers of each column; by default six digits.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    formats: Sequence[str] = ()

    @property
    def columns(self) -> dict[str, list[Cell]]:
        """The values of each column by its name."""
        return {name: [row[i] for row in self.rows] for i, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> list[Cell]:
        return self.columns[name]

    def __repr__(self) -> str:
        lines = [list(self.names), *self._cells()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        left = [self._is_text(i) for i in range(len(self.names))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if words else cell.rjust(width)
                for cell, width, words in zip(line, widths, left, strict=True)
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        align = ["left" if self._is_text(i) else "right" for i in range(len(self.names))]

        def line(cells: Sequence[str], tag: str) -> str:
            inside = (
                f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
                for cell, side in zip(cells, align, strict=True)
            )
            return f"<tr>{''.join(inside)}</tr>"

        body = "".join(line(cells, "td") for cells in self._cells())
        head = line([printable(name) for name in self.names], "th")
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"

    def _is_text(self, column: int) -> bool:
        return any(isinstance(row[column], str) for row in self.rows)

    def _cells(self) -> list[list[str]]:
        formats = self.formats or [".6g"] * len(self.names)
        shown = [
            [_text(cell, form) for cell, form in zip(row, formats, strict=True)]
            for row in self.rows
        ]
        if len(shown) <= MOST_ROWS:
            return shown
        half = MOST_ROWS // 2
        return [*shown[:half], ["…"] * len(self.names), *shown[-half:]]


def _text(cell: Any, form: str) -> str:
    if cell is None or cell != cell:  # noqa: PLR0124 - not a number
        return "–"
    if isinstance(cell, float):
        return format(cell, form)
    return printable(str(cell))
