"""Result of a check: verdict, measured numbers, criterion, figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reann.verdicts import Verdict, graded, worst

__all__ = ["CannotRunError", "Figure", "Outcome", "Verdict", "exploded", "graded", "worst"]


class CannotRunError(Exception):
    """A requirement of a check is missing; the text says which, and how to get it."""


@dataclass(frozen=True)
class Figure:
    """A plot with its caption."""

    svg: str
    """Plot, the result of `reann.report.svg.Axes.render`."""
    caption: str
    legend: Mapping[str, str] = field(default_factory=dict)
    """Meaning of each line, by its style."""
    wide: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of a check."""

    verdict: Verdict
    sentence: str
    """Measured values in words, with units."""
    criterion: str
    """Limits for passing, and why these."""
    figures: tuple[Figure, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """For the JSON file; units are in the names."""
    rows: tuple[tuple[str, ...], ...] = ()
    """A table; its first row is the header."""


def exploded(error: Exception, what: str) -> Outcome:
    """Return the outcome of a simulation that exploded."""
    return Outcome(
        Verdict.fails,
        f"{what} exploded: {error}.",
        "Dynamics from the given structure must stay bounded. If the structure is far from"
        " equilibrium, relax it first (`reann relax`); otherwise the training lacks such"
        " structures.",
        numbers={"exploded": str(error)},
    )
