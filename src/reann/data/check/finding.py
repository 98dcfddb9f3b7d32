"""A finding of the checks: message, number of structures, examples and advice."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reann.data.check.record import Record

Severity = Literal["error", "warning", "note"]
MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """A finding about the data.

    An `error` stops or spoils a training, a `warning` needs a decision of the user, a `note` is
    for information.
    """

    name: str
    """Short and stable, for scripts: `coincident-atoms`."""
    severity: Severity
    message: str
    """Description with values and units."""
    fix: str
    """Advice."""
    count: int = 0
    """Number of affected structures."""
    examples: tuple[str, ...] = ()
    """Affected structures as `file#index`, with atoms if useful."""
    option: str = ""
    """Options of the command line that are equivalent to `fix`, if any."""

    def for_command_line(self) -> Finding:
        """Return the finding with the equivalent options added to the advice."""
        if self.option:
            return replace(self, fix=f"{self.fix} On the command line: {self.option}.")
        return replace(self, fix=with_option(self.fix))


def with_option(fix: str) -> str:
    """Add the options that are equivalent to the configuration fields in an advice."""
    fields = dict.fromkeys(re.findall(r"data\.keys\.(\w+)", fix), "KEY")
    for choices in re.findall(r"keys: \{([^}]*)\}", fix):
        fields |= dict(re.findall(r"(\w+): \"?((?<=\")[^\"]*|[^,]*)", choices))
    options = " ".join(f"--key {shlex.quote(f'{label}={key}')}" for label, key in fields.items())
    return f"{fix} On the command line: {options}." if fields else fix


def of_head(finding: Finding, head: str) -> Finding:
    """Return the finding with the name of the head in its message."""
    place = f"head {head}" if head else "the first head"
    return replace(finding, message=f"{place}: {finding.message}")


def accept(findings: Iterable[Finding], names: Collection[str]) -> list[Finding]:
    """Turn the errors that the user accepts (`data.accept`) into notes."""
    return [
        replace(f, severity="note", message=f"{f.message} (accepted)") if f.name in names else f
        for f in findings
    ]


Rule = Callable[[Sequence[Record]], Finding | None]
"""A check: takes all records and returns a finding or None."""


def about(  # noqa: PLR0917 - in the order of Finding's fields
    records: Sequence[Record],
    name: str,
    severity: Severity,
    message: str,
    fix: str,
    detail: Callable[[Record], str] = lambda _: "",
    option: str = "",
) -> Finding | None:
    """Return a finding about these records; None if there are none."""
    if not records:
        return None
    examples = tuple(f"{r.origin}{detail(r)}" for r in records[:MOST_EXAMPLES])
    return Finding(name, severity, message, fix, len(records), examples, option)


def placeholders(
    zero: Sequence[Record], labeled: Sequence[Record], label: str, noun: str, extent: str = ""
) -> Finding | None:
    """Return a finding about labels that are exactly zero; an error if all of them are.

    Parameters
    ----------
    zero, labeled
        Structures whose labels are zero, and all structures with the label.
    label, noun
        Name of the label, and its plural noun.
    extent
        Addition to the message, such as " on all atoms".
    """
    whole = len(zero) == len(labeled)
    count = "all" if whole else f"{len(zero)} of {len(labeled)}"
    return about(
        zero,
        f"all-{noun}-zero",
        "error" if whole else "warning",
        f"the {noun} of {count} structures are exactly zero{extent}, probably placeholders",
        f"Write `data: {{keys: {{{label}: null}}}}` to train without {noun}, or remove these "
        "structures.",
    )
