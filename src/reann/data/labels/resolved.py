"""The key of each label of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field

from reann.quantities import forms_of


@dataclass(frozen=True)
class ResolvedKeys:
    """The key of each label."""

    chosen: dict[str, str] = field(default_factory=dict)
    """The key of each label that is used, and of weight, group and head."""
    counts: dict[str, int] = field(default_factory=dict)
    """Number of structures with each label."""
    n_structures: int = 0
    notes: tuple[str, ...] = ()
    """Messages for the user."""
    units: dict[str, str] = field(default_factory=dict)
    """Units of the labels according to the files, if they are the same for all structures."""

    def of(self, label: str) -> str | None:
        """Return the key of a label or of a form of it; None if it is not used."""
        return self.chosen.get(label)

    def holds(self, label: str) -> bool:
        """Return whether a label is read in any form."""
        return any(form in self.chosen for form in forms_of(label))
