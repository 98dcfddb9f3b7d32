"""What a check gives: a verdict in words, the numbers and the criterion it rests on, figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reann.verdicts import Verdict, graded, worst

__all__ = ["CannotRunError", "Figure", "Outcome", "Verdict", "exploded", "graded", "worst"]


class CannotRunError(Exception):
    """Something that a check needs is not there; the text says what, and how to get it."""


@dataclass(frozen=True)
class Figure:
    """A plot with its caption."""

    svg: str
    """As `reann.report.svg.Axes.render` returns it."""
    caption: str
    legend: Mapping[str, str] = field(default_factory=dict)
    """Style of a line, and what it shows."""
    wide: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of a check."""

    verdict: Verdict
    sentence: str
    """What was measured, with units."""
    criterion: str
    """Which numbers pass, and why these."""
    figures: tuple[Figure, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """For the JSON file; units stand in the names."""
    rows: tuple[tuple[str, ...], ...] = ()
    """A table; its first row has the headings."""


def exploded(error: Exception, what: str) -> Outcome:
    """Return the outcome of dynamics without bounds."""
    return Outcome(
        Verdict.fails,
        f"{what} exploded: {error}.",
        "Dynamics from the given structure must stay bounded. If the structure is far from"
        " equilibrium, relax it first (`reann relax`); else the training lacks such structures.",
        numbers={"exploded": str(error)},
    )
