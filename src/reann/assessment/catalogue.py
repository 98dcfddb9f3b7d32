"""All checks, in the order of the report."""

from __future__ import annotations

from collections.abc import Sequence

from reann.assessment import (
    contacts,
    diffusion,
    dimers,
    elastic,
    eos,
    errors,
    extrapolation,
    nve,
    phonons,
    rdf,
    relaxation,
    smoothness,
    speed,
    symmetry,
    vibrations,
)
from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.errors import UserError, did_you_mean

CHECKS = tuple(
    module.CHECK
    for module in (
        *(errors, symmetry, smoothness, nve, extrapolation, dimers, contacts, relaxation),
        *(vibrations, eos, elastic, phonons, rdf, diffusion, speed),
    )
)


def checks_for(case: Case, only: Sequence[str]) -> list[Check]:
    """Return the checks that apply to a case, or those that are named.

    Raises
    ------
    UserError
        For unknown names, and for checks that do not apply to the case.
    """
    known = {check.name: check for check in CHECKS}
    for name in only:
        if name not in known:
            raise UserError(
                f"There is no check '{name}'.{did_you_mean(name, known)}",
                "--only",
                f"Use some of {', '.join(known)}.",
            )
        if not known[name].applies(case):
            raise UserError(
                f"The check '{name}' does not apply: {reason(known[name], case)}.",
                "--only",
                "Leave it out, or set the kind of the structure with --as.",
            )
    return [check for check in CHECKS if check.applies(case) and (not only or check.name in only)]


def reason(check: Check, case: Case) -> str:
    """Return why a check does not apply."""
    if case.kind not in check.kinds:
        kinds = " or ".join(sorted(kind.value for kind in check.kinds))
        return f"it is for a {kinds}, but the structure is a {case.kind.value}"
    return {
        "errors": "no labels are given (--test)",
        "extrapolation": "the potential did not record the range of its training",
    }.get(check.name, "the structure has only one atom")
