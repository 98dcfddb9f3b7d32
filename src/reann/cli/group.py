"""The group of all verbs: what a user has caused becomes one message and an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
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
            return super().invoke(ctx)
        except UserError as error:
            if ctx.params.get("debug"):
                raise
            complain(str(error))
            raise typer.Exit(1) from None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG or ctx.params.get("debug"):
                raise
            complain(f"The name is too long for a file: {shortened(str(error.filename))}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            complain("Stopped.")
            raise typer.Exit(130) from None


def complain(message: str) -> None:
    """Print an error on standard error."""
    from reann.terminal import Terminal, is_gone

    terminal = Terminal(stderr=True)
    try:
        terminal.say(message, style="red")
    except OSError as error:
        if not is_gone(error):
            raise
        terminal.discard()
