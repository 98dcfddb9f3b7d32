"""The definition of a check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reann.assessment.case import Case
from reann.assessment.kinds import Kind
from reann.assessment.outcome import Outcome

EVERY = frozenset(Kind)


@dataclass(frozen=True)
class Check:
    """One question about a potential.

    Attributes
    ----------
    name
        As in `--only`.
    title
        Heading in the report.
    about
        Why the question matters, one sentence.
    kinds
        Kinds of systems that the check applies to.
    run
        Runs the check; raises `UserError` if the input does not allow it.
    """

    name: str
    title: str
    about: str
    run: Callable[[Case], Outcome]
    kinds: frozenset[Kind] = EVERY
    needs: Callable[[Case], bool] = lambda _: True
    """Whether a case meets the requirements of the check, such as labels."""

    def applies(self, case: Case) -> bool:
        """Return whether the check applies to a case."""
        return case.kind in self.kinds and self.needs(case)
