"""Errors for users: what is wrong, where, and how to fix it.

All errors of the user are raised as `UserError`; the command line prints them without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """An error of the user: what is wrong, where, and how to fix it.

    Parameters
    ----------
    what
        A sentence that describes the mistake with its value.
    where
        File, line, structure or atom.
    fix
        Advice on how to fix it.
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


class SettingError(UserError, ValueError):
    """A field of a configuration has a wrong value, also when it is set in Python."""


class DamagedError(UserError):
    """A file is damaged: its content differs from what was written."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def listed(items: Iterable[object], limit: int = 8) -> str:
    """Join items for a message; if there are many, show the first and their number."""
    texts = [str(item) for item in items]
    rest = f", … ({len(texts)} in total)" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + rest


def counted(n: int, noun: str) -> str:
    """Return a number and a noun, as ``1 structure`` or ``2 structures``."""
    return f"{n} {noun}{'s' * (n != 1)}"


def shortened(text: str, limit: int = 60) -> str:
    """Return a text for a message, truncated if it is long."""
    return text if len(text) <= limit else f"{text[:limit]}…"
