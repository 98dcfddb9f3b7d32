"""What the doctor found: one sentence, how often, where, and what to do."""

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
    """One thing that a user should know about the data.

    An `error` stops a training or spoils it, a `warning` needs a decision, a `note` is a fact
    that is worth knowing.
    """

    name: str
    """Short and stable, for scripts: `coincident-atoms`."""
    severity: Severity
    message: str
    """What was found, with values and units."""
    fix: str
    """What to do."""
    count: int = 0
    """Number of structures concerned."""
    examples: tuple[str, ...] = ()
    """Where: `file#index`, and atoms where it helps."""
    option: str = ""
    """The options of the command line that do the same as `fix`, where there are some."""

    def for_command_line(self) -> Finding:
        """Return the finding with a fix that names the options, too."""
        if self.option:
            return replace(self, fix=f"{self.fix} On the command line: {self.option}.")
        return replace(self, fix=with_option(self.fix))


def with_option(fix: str) -> str:
    """Name beside fields of the configuration the options of the command line that do the same."""
    fields = dict.fromkeys(re.findall(r"data\.keys\.(\w+)", fix), "KEY")
    for choices in re.findall(r"keys: \{([^}]*)\}", fix):
        fields |= dict(re.findall(r"(\w+): \"?((?<=\")[^\"]*|[^,]*)", choices))
    options = " ".join(f"--key {shlex.quote(f'{label}={key}')}" for label, key in fields.items())
    return f"{fix} On the command line: {options}." if fields else fix


def of_head(finding: Finding, head: str) -> Finding:
    """Return the finding about the data of one head of several, which its message names."""
    place = f"head {head}" if head else "the first head"
    return replace(finding, message=f"{place}: {finding.message}")


def accept(findings: Iterable[Finding], names: Collection[str]) -> list[Finding]:
    """Turn the errors that the user accepts (`data.accept`) into notes."""
    return [
        replace(f, severity="note", message=f"{f.message} (accepted)") if f.name in names else f
        for f in findings
    ]


Rule = Callable[[Sequence[Record]], Finding | None]
"""A check: all records in, a finding or nothing out."""


def about(  # noqa: PLR0917 - in the order of Finding's fields
    records: Sequence[Record],
    name: str,
    severity: Severity,
    message: str,
    fix: str,
    detail: Callable[[Record], str] = lambda _: "",
    option: str = "",
) -> Finding | None:
    """Return the finding about these records, or nothing when there are none."""
    if not records:
        return None
    examples = tuple(f"{r.origin}{detail(r)}" for r in records[:MOST_EXAMPLES])
    return Finding(name, severity, message, fix, len(records), examples, option)


def placeholders(
    zero: Sequence[Record], labeled: Sequence[Record], label: str, noun: str, extent: str = ""
) -> Finding | None:
    """Return the finding about labels that are exactly zero, an error where all of them are.

    Parameters
    ----------
    zero, labeled
        Structures whose labels are zero, and all that have the label.
    label, noun
        Key of the label, and what it is called in the plural.
    extent
        What of the label is zero, such as " on every atom".
    """
    whole = len(zero) == len(labeled)
    count = "all" if whole else f"{len(zero)} of {len(labeled)}"
    return about(
        zero,
        f"all-{noun}-zero",
        "error" if whole else "warning",
        f"the {noun} of {count} structures are exactly zero{extent}: placeholders of a converter",
        f"Write `data: {{keys: {{{label}: null}}}}` to train without {noun}, or remove these "
        "structures.",
    )
