"""The page of a test, and its JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import ase

from reann import atomic_file, strict_json
from reann.assessment.check import Check
from reann.assessment.kinds import Decision
from reann.assessment.outcome import Outcome, Verdict, worst
from reann.errors import counted
from reann.report.scene import scene_of
from reann.report.template import rendered, resource

HTML, JSON = "test.html", "test.json"


@dataclass
class Entry:
    """A check and its outcome."""

    check: Check
    outcome: Outcome | None = None
    state: str = "not yet run"
    """In words, if there is no outcome."""
    reason: str = ""
    seconds: float = 0.0

    def of_page(self) -> dict[str, Any]:
        """Return the fields that the template shows."""
        check = self.check
        return {
            "name": check.name,
            "title": check.title,
            "about": check.about,
            "outcome": self.outcome,
            "state": self.state,
        }

    def of_json(self) -> dict[str, Any]:
        """Return the result as plain numbers."""
        if self.outcome is None:
            return {"verdict": None, "reason": self.reason or self.state}
        return {
            "verdict": self.outcome.verdict.value,
            "sentence": self.outcome.sentence,
            "criterion": self.outcome.criterion,
            "seconds": round(self.seconds, 2),
            "numbers": dict(self.outcome.numbers),
        }


@dataclass(frozen=True)
class About:
    """The potential and the structure, as shown on the page."""

    name: str
    """Name of the potential."""
    atoms: ase.Atoms
    origin: str
    decision: Decision
    facts: str
    provenance: dict[str, str] = field(default_factory=dict)


def summary(entries: Sequence[Entry]) -> tuple[Verdict, str]:
    """Return the worst verdict, and a sentence with the checks that do not pass."""
    verdicts = {e.check.name: e.outcome.verdict for e in entries if e.outcome is not None}
    names = {v: [name for name, verdict in verdicts.items() if verdict is v] for v in Verdict}
    look, failed, n_passed = names[Verdict.look], names[Verdict.fails], len(names[Verdict.passes])
    parts = [f"{n_passed} of {counted(len(verdicts), 'check')} pass" + "es" * (n_passed == 1)]
    if failed:
        parts.append(f"{len(failed)} fail{'s' * (len(failed) == 1)} ({', '.join(failed)})")
    if look:
        parts.append(f"{len(look)} should be looked at ({', '.join(look)})")
    if broken := could_not_run(entries):
        parts.append(f"{len(broken)} could not run ({', '.join(broken)})")
    return worst(verdicts.values()), ", ".join(parts) + "."


def could_not_run(entries: Sequence[Entry]) -> list[str]:
    """Return the names of the checks that ended with an error."""
    return [entry.check.name for entry in entries if entry.state == "could not run"]


def write(folder: Path, about: About, entries: Sequence[Entry]) -> None:
    """Write the page and the JSON file, each completely or not at all.

    Raises
    ------
    UserError
        If a file cannot be written.
    """
    verdict, text = summary(entries)
    kind = about.decision.kind.value
    data = strict_json.dumps(scene_of(about.atoms, None), separators=(",", ":"))
    page = rendered(
        (resources.files("reann.assessment") / "page.html").read_text(encoding="utf-8"),
        name=about.name,
        facts=about.facts,
        verdict=verdict.value,
        summary=text,
        decision=f"Tested as a {kind}: {about.decision.reason}.",
        checks=[entry.of_page() for entry in entries],
        left_out=[(entry.check.title, entry.reason) for entry in entries if entry.reason],
        formula=about.atoms.get_chemical_formula(),
        origin=about.origin,
        scene=data.replace("<", "\\u003c"),  # `<` would end the script early
        provenance=about.provenance,
        viewer=resource("viewer.js"),
    )
    atomic_file.write_text(folder / HTML, page)
    content = {
        "potential": about.name,
        "structure": about.origin,
        "kind": kind,
        "reason": about.decision.reason,
        "verdict": verdict.value,
        "provenance": about.provenance,
        "checks": {entry.check.name: entry.of_json() for entry in entries},
    }
    text = strict_json.dumps(content, indent=1, ensure_ascii=False)
    atomic_file.write_text(folder / JSON, text + "\n")
