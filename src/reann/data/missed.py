"""What to say about labels that may be under keys that are not recognized."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reann import strict_json
from reann.data.candidates import Candidate
from reann.data.names import label_meant
from reann.errors import counted, listed


@dataclass(frozen=True)
class Missed:
    """Structures that lack a label and have something like it under other keys."""

    label: str
    used: list[str]
    """Keys under which the label is read."""
    counts: dict[str, int]
    """In how many of these structures each other key is."""
    candidates: Mapping[str, Candidate]
    n: int
    first: str

    def sentence(self) -> str:
        """Return what was found and how often."""
        keys = listed(
            self.candidates[key].described(n)
            if key in self.candidates
            else f"'{key}' ({counted(n, 'structure')})"
            for key, n in self.counts.items()
        )
        if not self.used:
            return f"The {self.label} may be under a key that is not recognized: {keys}."
        used = " or ".join(f"'{key}'" for key in self.used)
        lacking = f"{counted(self.n, 'structure')} {'has' if self.n == 1 else 'have'}"
        return (
            f"{lacking} no {self.label} under {used}, where it is read, but {keys};"
            f" the first is {self.first}."
        )

    def choice(self) -> tuple[str, str | None]:
        """Return the label and the key that most likely holds it, None where none can be read."""
        cautions = {
            key: candidate.caution() if candidate else ""
            for key in self.counts
            if (candidate := self.candidates.get(key)) is None or not candidate.repair()
        }
        key = min(cautions, key=lambda key: bool(cautions[key]), default=None)
        is_virial = self.label == "stress" and key is not None and label_meant(key) == "virial"
        return "virial" if is_virial else self.label, key

    def advice(self) -> list[str]:
        """Return what must be known before a key is named."""
        about = [self.candidates[key] for key in self.counts if key in self.candidates]
        return [text for c in about for text in (c.repair(), c.caution()) if text]


def fix_of(every: Collection[Missed]) -> str:
    """Return what to write into the configuration or the files."""
    sentences = []
    unread = [m for m in every if not m.used]
    if unread:
        choices = dict(m.choice() for m in unread)
        keys = ", ".join(f"{label}: {_in_yaml(key)}" for label, key in choices.items())
        what = "it" if len(choices) == 1 else "a label"
        instead = ", or null instead of the name" if any(choices.values()) else ""
        sentences.append(f"Write `data: {{keys: {{{keys}}}}}`{instead} to leave {what} out.")
    sentences += [text for m in unread for text in m.advice()]
    sentences += [
        f"Give the {m.label} one key in all files, or set data.keys.{m.label} to one key"
        " and data.missing to allow."
        for m in every
        if m.used
    ]
    return " ".join(dict.fromkeys(sentences))


def _in_yaml(key: str | None) -> str:
    """Return a key as it is written into a mapping of a configuration."""
    if key is None:
        return "null"
    return (
        key
        if re.fullmatch(r"[^\W\d][\w.()+-]*", key)
        else strict_json.dumps(key, ensure_ascii=False)
    )
