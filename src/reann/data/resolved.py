"""Which key holds which label, as it was decided for a data set."""

from __future__ import annotations

from dataclasses import dataclass, field

from reann.quantities import forms_of


@dataclass(frozen=True)
class ResolvedKeys:
    """Which key holds which label."""

    chosen: dict[str, str] = field(default_factory=dict)
    """The key of each label that is used, of weight, group and head."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many structures have each label."""
    n_structures: int = 0
    notes: tuple[str, ...] = ()
    """What the user should hear about the choice."""
    units: dict[str, str] = field(default_factory=dict)
    """Units of the labels that the files state, where all structures state the same."""

    def of(self, label: str) -> str | None:
        """Return the key of a label, or of a form of it; None where it is not used."""
        return self.chosen.get(label)

    def holds(self, label: str) -> bool:
        """Whether a label is read, in whatever form."""
        return any(form in self.chosen for form in forms_of(label))
