"""The group of all commands: turns errors of the user into one message and an exit code."""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from reann.cli.help import plain
from reann.errors import UserError, shortened

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, an exceeded quota and a limit on file sizes."""


class Commands(TyperGroup):
    """Runs a command; the exit code is 1 after an error of the user and 130 after Ctrl-C."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """Run the command line; report a full disk that no writer has reported."""
        try:
            return super().main(args, *rest, **more)
        except OSError as error:
            if error.errno not in FULL or "--debug" in (sys.argv if args is None else args):
                raise
            complain(f"Writing failed: {error.strerror}.\n  fix:   Free some disk space.")
            sys.exit(1)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        TyperGroup.format_help(plain(self, ctx), ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
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
    """Print each warning of this package once, as a sentence; print others as Python does."""
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
    """Return a message for an error of the system that can occur anywhere; None for others."""
    if error.errno == errno.ENAMETOOLONG:
        return f"The file name is too long: {shortened(str(error.filename))}"
    if "No usable temporary directory" in str(error.strerror):  # of tempfile
        return (
            "Temporary files cannot be written: all folders for them are full or read-only.\n"
            "  fix:   Free some disk space, or set the variable TMPDIR to another folder."
        )
    return None


def complain(message: str, style: str = "red") -> None:
    """Print an error or a warning on standard error."""
    from reann.terminal import Terminal, is_gone

    terminal = Terminal(stderr=True)
    try:
        terminal.write(message, style=style)
    except OSError as error:
        if not is_gone(error):
            raise
        terminal.discard()
