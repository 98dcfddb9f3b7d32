"""The group of all verbs: what a user has caused becomes one message and an exit code."""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from reann.errors import UserError, shortened

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, an exhausted quota, a limit on the size of files."""


class Verbs(TyperGroup):
    """Runs a verb; 1 after an error of the user, 130 after Ctrl-C."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """Run the command line; a full disk, where no writer has said so, is one message."""
        try:
            return super().main(args, *rest, **more)
        except OSError as error:
            if error.errno not in FULL or "--debug" in (sys.argv if args is None else args):
                raise
            complain(f"Nothing more can be written: {error.strerror}.\n  fix:   Free some space.")
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            with _plain_warnings():
                return super().invoke(ctx)
        except UserError as error:
            if ctx.params.get("debug"):
                raise
            complain(str(error))
            raise typer.Exit(1) from None
        except OSError as error:
            message = _explained(error)
            if message is None or ctx.params.get("debug"):
                raise
            complain(message)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            complain("Stopped.")
            raise typer.Exit(130) from None


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print warnings of this package as sentences, each once, and others as Python does."""
    with warnings.catch_warnings():
        usual, printed = warnings.showwarning, set[str]()

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not category.__module__.startswith("reann."):
                usual(message, category, *where, **more)
            elif str(message) not in printed:
                printed.add(str(message))
                complain(f"Warning: {message}", style="yellow")

        warnings.showwarning = show
        yield


def _explained(error: OSError) -> str | None:
    """Return what to say about an error of the system that can occur anywhere; None for others."""
    if error.errno == errno.ENAMETOOLONG:
        return f"The name is too long for a file: {shortened(str(error.filename))}"
    if "No usable temporary directory" in str(error.strerror):  # of tempfile
        return (
            "Temporary files cannot be written: every folder for them is full or read-only.\n"
            "  fix:   Free some space, or name another folder in the variable TMPDIR."
        )
    return None


def complain(message: str, style: str = "red") -> None:
    """Print an error or a warning on standard error."""
    from reann.terminal import Terminal, is_gone

    terminal = Terminal(stderr=True)
    try:
        terminal.say(message, style=style)
    except OSError as error:
        if not is_gone(error):
            raise
        terminal.discard()
