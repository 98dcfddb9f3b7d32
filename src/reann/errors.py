"""Errors for users: what is wrong, where, and how to fix it.

Everything a user can cause is raised as `UserError`; the command line prints it without traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What is wrong, where it was found, and how to fix it.

    Parameters
    ----------
    what
        One sentence that names the wrong thing and its value.
    where
        File, line, structure or atom.
    fix
        What to write or to do instead.
    """

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        lines = [what]
        if where:
            lines.append(f"  where: {where}")
        if fix:
            lines.append(f"  fix:   {fix}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str]]:
        """Keep the three parts when the error crosses a process boundary."""
        return type(self), (self.what, self.where, self.fix)


class DamagedError(UserError):
    """A file is not what this program has written."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def listed(items: Iterable[object], limit: int = 8) -> str:
    """Join items for a message and say how many were left out."""
    every = [str(item) for item in items]
    rest = f", … ({len(every)} in all)" if len(every) > limit else ""
    return ", ".join(every[:limit]) + rest


def counted(n: int, noun: str) -> str:
    """Return a number and a noun, as ``1 structure`` or ``2 structures``."""
    return f"{n} {noun}{'s' * (n != 1)}"


def shortened(text: str, limit: int = 60) -> str:
    """Return a text for a message, cut where it is long."""
    return text if len(text) <= limit else f"{text[:limit]}…"
