r"""Everything that is printed: every encoding can show it, and no text commands the terminal.

Names of files, keys, groups and headers may hold any character. One that would move the cursor, set
colors or reverse a line is printed as an escape sequence such as ``\x1b``.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions of writing
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff]"  # bytes of a file name that are not text
)
LABEL = re.compile(r"\S+( \S+)? {2,}| +\w+: +")
"""What begins a line of a list, such as `model     ` or `  where: `."""


def printable(text: str) -> str:
    """Return the text with unsafe characters as escape sequences; line feeds and tabs stay."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def replace_unknown_characters() -> None:
    """Let standard output and error replace what their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def is_gone(error: OSError) -> bool:
    """Return whether a terminal was closed, or the reader of a pipe has ended."""
    return error.errno in (errno.EIO, errno.EPIPE)


def plain_table(title: str, **options: Any) -> Table:
    """Return a table without a frame, so that more of it fits 80 columns."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, **options)


def say(text: str) -> None:
    """Print a text on standard output."""
    Terminal().say(text)


class Terminal(Console):
    """A console that makes unsafe characters visible and replaces those that it cannot show.

    Parameters
    ----------
    options
        As of `rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        # Emoji: `:O:` in the name of a file is no picture.
        super().__init__(**{"highlight": False, "emoji": False, **options})

    def say(self, text: str, style: str = "") -> None:
        """Print a text as it is; a terminal breaks its lines between words only."""
        if self.is_terminal:
            text = "\n".join(_wrapped(line, self.width) for line in printable(text).split("\n"))
        self.print(text, style=style, markup=False, soft_wrap=True)

    def discard(self) -> None:
        """Discard from now on what this process writes to a terminal or a pipe that is gone."""
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as text for printing: everywhere, also in tables."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the pieces of what is printed, in characters that the output has."""
        encoding = getattr(self.file, "encoding", None) or "utf-8"
        for piece in super().render(renderable, options):
            known = piece.text.encode(encoding, "replace").decode(encoding)
            yield piece if piece.control else Segment(known, piece.style)


def _wrapped(line: str, width: int) -> str:
    """Break a line between words, and indent what follows below what the line begins with."""
    label = LABEL.match(line)
    indent = " " * (label.end() if label else 0)
    if len(line) <= width:
        return line
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
