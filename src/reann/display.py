"""Short descriptions of objects: text for a terminal, a small table for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from reann.terminal import printable

MOST_CHARACTERS = 72
"""Maximum length of a value in a summary; longer values are cut."""


@dataclass(frozen=True)
class Summary:
    """A title, and values with their names."""

    title: str
    rows: Sequence[tuple[str, str]]

    def text(self) -> str:
        """Return a line for the title and one for each value."""
        width = max((len(name) for name, _ in self.rows), default=0)
        lines = [f"  {_short(name):{width}}  {_short(value)}" for name, value in self.rows]
        return "\n".join([printable(self.title), *lines])

    def html(self) -> str:
        """Return a table of HTML."""
        left = 'style="text-align:left"'
        rows = "".join(
            f"<tr><th {left}>{name}</th><td {left}>{value}</td></tr>"
            for name, value in ((escape(_short(x)), escape(_short(y))) for x, y in self.rows)
        )
        caption = f"<b>{escape(printable(self.title))}</b>"
        return f"<div>{caption}<table><tbody>{rows}</tbody></table></div>"


class Displayed:
    """A class whose objects describe themselves in consoles and in notebooks."""

    def _summary(self) -> Summary:
        """Return the content of the summary."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self._summary().text()

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        return self._summary().html()


def _short(value: str) -> str:
    text = " ".join(printable(value).split())
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
