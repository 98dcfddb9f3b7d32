r"""Terminal output that works in any encoding and is safe against control characters.

Names of files, keys, groups and headers may contain any character. Those that would move the
cursor, set colors or reverse a line are printed as escape sequences such as ``\x1b``.
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
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions of writing
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff]"  # bytes of a file name that are not text
)
LABEL = re.compile(r"\S+( \S+)? {2,}| +\w+: +")
"""Beginning of a line of a list, such as `model     ` or `  where: `."""


def printable(text: str) -> str:
    """Return the text with unsafe characters as escape sequences, except line feeds and tabs."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def replace_unknown_characters() -> None:
    """Make standard output and error replace characters that their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def is_gone(error: OSError) -> bool:
    """Return whether an error means that a terminal or the reader of a pipe has been closed."""
    return error.errno in (errno.EIO, errno.EPIPE)


def plain_table(title: str, **options: Any) -> Table:
    """Return a table without a frame, to save columns."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, **options)


def print_line(text: str) -> None:
    """Print a text on standard output."""
    Terminal().write(text)


class Terminal(Console):
    """A console that makes unsafe characters visible and replaces those that it cannot show.

    Parameters
    ----------
    options
        Options of `rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        # No emoji: `:O:` in a file name is not an emoji. Plain lines in a notebook, in which rich
        # would make an output of each line.
        usual = {"highlight": False, "emoji": False, "force_jupyter": False}
        super().__init__(**{**usual, **options})

    def write(self, text: str, style: str = "") -> None:
        """Print a text without markup; on a terminal, lines are wrapped between words."""
        if self.is_terminal:
            text = "\n".join(_wrapped(line, self.width) for line in printable(text).split("\n"))
        self.print(text, style=style, markup=False, soft_wrap=True)

    def discard(self) -> None:
        """Discard all further output of this process, after its terminal or pipe has closed."""
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as safe text, also in tables."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments to print, in characters that the encoding of the output has."""
        encoding = getattr(self.file, "encoding", None) or "utf-8"
        for piece in super().render(renderable, options):
            text = piece.text.encode(encoding, "replace").decode(encoding)
            yield piece if piece.control else Segment(text, piece.style)


def _wrapped(line: str, width: int) -> str:
    """Wrap a line between words, and indent the following lines below its label."""
    label = LABEL.match(line)
    indent = " " * (label.end() if label else 0)
    if len(line) <= width:
        return line
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
