"""Verdicts in words on what was measured."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Verdict(str, Enum):
    """The three verdicts."""

    passes = "passes"
    look = "look at this"
    fails = "fails"


WORST_FIRST = (Verdict.fails, Verdict.look, Verdict.passes)


def graded(value: float, passes: float, fails: float) -> Verdict:
    """Return the verdict on a number that should be small; one that is not finite fails.

    It passes up to the first limit and fails beyond the second.
    """
    if value <= passes:
        return Verdict.passes
    return Verdict.look if value <= fails else Verdict.fails


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of several verdicts."""
    return min(verdicts, key=WORST_FIRST.index, default=Verdict.passes)
