"""Messages about labels that may be under unknown keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reann import strict_json
from reann.data.labels.names import label_meant
from reann.data.labels.unassigned_keys import Candidate
from reann.errors import UserError, counted, listed

KEY = "KEY"
"""Stands for one of several possible keys."""


class UnrecognizedError(UserError):
    """Labels may be under keys that are not recognized.

    Attributes
    ----------
    keys
        The suggested key of each label without a key; `KEY` or None if there is none.
    """

    def __init__(
        self,
        what: str,
        where: str = "",
        fix: str = "",
        keys: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__(what, where, fix)
        self.keys = dict(keys or {})


@dataclass(frozen=True)
class UnrecognizedLabel:
    """Structures that lack a label but may have it under other keys."""

    label: str
    used: list[str]
    """Keys under which the label is read."""
    counts: dict[str, int]
    """Number of these structures that have each other key."""
    candidates: Mapping[str, Candidate]
    n: int
    first: str

    def sentence(self) -> str:
        """Return a sentence about the other keys and their values."""
        keys = listed(
            self.candidates[key].described(n)
            if key in self.candidates
            else f"'{key}' ({counted(n, 'structure')})"
            for key, n in self.counts.items()
        )
        if not self.used:
            return f"The {self.label} may be under an unknown key: {keys}."
        used = " or ".join(f"'{key}'" for key in self.used)
        verb = "has" if self.n == 1 else "have"
        return (
            f"{counted(self.n, 'structure')} {verb} no {self.label} under {used}, but {keys};"
            f" the first is {self.first}."
        )

    def likely(self) -> list[str]:
        """Return the keys that can be read, without those that may need a change if possible."""
        cautions = {
            key: candidate.caution() if candidate else ""
            for key in self.counts
            if (candidate := self.candidates.get(key)) is None or not candidate.repair()
        }
        return [key for key, caution in cautions.items() if not caution] or list(cautions)

    def choice(self) -> tuple[str, str | None]:
        """Return the label and its key: `KEY` if there are several, None if none can be read."""
        keys = self.likely()
        key = keys[0] if len(keys) == 1 else None if not keys else KEY
        is_virial = self.label == "stress" and key is not None and label_meant(key) == "virial"
        return "virial" if is_virial else self.label, key

    def advice(self) -> list[str]:
        """Return advice about changes that the values may need."""
        about = [self.candidates[key] for key in self.counts if key in self.candidates]
        return [text for c in about for text in (c.repair(), c.caution()) if text]


def error_of(labels: Collection[UnrecognizedLabel], where: str) -> UnrecognizedError:
    """Return the error about these labels."""
    keys = dict(m.choice() for m in labels if not m.used)
    what = " ".join(m.sentence() for m in labels)
    return UnrecognizedError(what, where, fix_of(labels), keys)


def fix_of(labels: Collection[UnrecognizedLabel]) -> str:
    """Return advice on what to write into the configuration or the files."""
    sentences = []
    unread = [m for m in labels if not m.used]
    if unread:
        choices = dict(m.choice() for m in unread)
        keys = ", ".join(f"{label}: {_in_yaml(key)}" for label, key in choices.items())
        what = "it" if len(choices) == 1 else "a label"
        instead = ", or null instead of the key" if any(choices.values()) else ""
        sentences.append(f"Write `data: {{keys: {{{keys}}}}}`{instead} to ignore {what}.")
        sentences += [
            f"Replace {KEY} by the key of the {m.label}: {' or '.join(m.likely())}."
            for m in unread
            if m.choice()[1] == KEY
        ]
    sentences += [text for m in unread for text in m.advice()]
    sentences += [
        f"Use the same key for the {m.label} in all files, or set data.keys.{m.label} to one key"
        " and data.missing to allow."
        for m in labels
        if m.used
    ]
    return " ".join(dict.fromkeys(sentences))


def _in_yaml(key: str | None) -> str:
    """Return a key as written in a mapping of a configuration."""
    if key is None:
        return "null"
    return (
        key
        if re.fullmatch(r"[^\W\d][\w.()+-]*", key)
        else strict_json.dumps(key, ensure_ascii=False)
    )
