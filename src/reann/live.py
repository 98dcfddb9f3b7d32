"""Text that is updated in place: on a terminal, and in a notebook as a single output."""

from __future__ import annotations

import io
import sys
from html import escape
from typing import Any, Protocol, runtime_checkable

from rich.console import RenderableType
from rich.live import Live

from reann.terminal import Terminal

NOTEBOOK_WIDTH = 100
"""Characters."""


@runtime_checkable
class Area(Protocol):
    """An area of the output whose content is replaced."""

    def start(self) -> None:
        """Open the area."""
        ...

    def show(self, content: RenderableType) -> None:
        """Replace the content."""
        ...

    def stop(self) -> None:
        """Close the area; its content remains."""
        ...


class TerminalArea:
    """The last lines of a terminal."""

    def __init__(self, console: Terminal) -> None:
        self.live = Live(console=console, auto_refresh=False)

    def start(self) -> None:
        """Open the area."""
        self.live.start()

    def show(self, content: RenderableType) -> None:
        """Replace the content."""
        self.live.update(content, refresh=True)

    def stop(self) -> None:
        """Close the area."""
        self.live.stop()


class NotebookArea:
    """One output of a cell."""

    def __init__(self) -> None:
        self.handle: Any = None

    def start(self) -> None:
        """Wait for the first content, so that an area without content leaves no output."""

    def show(self, content: RenderableType) -> None:
        """Replace the content."""
        from IPython.display import HTML, display

        html = HTML(f'<pre style="line-height:1.3">{escape(plain_text(content))}</pre>')
        if self.handle is None:
            self.handle = display(html, display_id=True)
        else:
            self.handle.update(html)

    def stop(self) -> None:
        """Leave the content."""

    def clear(self) -> None:
        """Remove the content."""
        from IPython.display import HTML

        if self.handle is not None:
            self.handle.update(HTML(""))


def area_of(console: Terminal) -> Area | None:
    """Return the area for a console; None if the output is a file or a pipe, or quiet."""
    if console.quiet:
        return None
    if in_notebook():
        return NotebookArea()
    return TerminalArea(console) if console.is_terminal else None


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


def plain_text(content: RenderableType) -> str:
    """Return the text that a terminal would show, without colors."""
    file = io.StringIO()
    Terminal(file=file, width=NOTEBOOK_WIDTH, color_system=None).print(content)
    return file.getvalue().rstrip("\n")
