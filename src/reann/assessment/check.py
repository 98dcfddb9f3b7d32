"""What a check is."""

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
        Why the question matters, in a sentence.
    kinds
        Kinds of systems that it makes sense for.
    run
        Answers it; `UserError` where it cannot be answered.
    """

    name: str
    title: str
    about: str
    run: Callable[[Case], Outcome]
    kinds: frozenset[Kind] = EVERY
    needs: Callable[[Case], bool] = lambda _: True
    """Whether there is what it needs, such as labels."""

    def applies(self, case: Case) -> bool:
        """Whether the check makes sense for a case."""
        return case.kind in self.kinds and self.needs(case)
