"""Check of labels that only some structures have."""

from __future__ import annotations

from collections.abc import Sequence

from reann.data.check.finding import Finding, about
from reann.data.check.record import Record


def labels_mixed(records: Sequence[Record]) -> Finding | None:
    """Report labels that are missing in some structures; each structure counts once."""
    parts: list[str] = []
    incomplete: dict[str, Record] = {}
    for label in ("energy", "forces", "stress"):
        # a single atom needs no forces, a molecule has no stress
        relevant = [
            r
            for r in records
            if (label != "forces" or r.n_atoms > 1) and (label != "stress" or all(r.pbc))
        ]
        relevant = [r for r in relevant if label in r.labels or label not in r.left_out]
        without = [r for r in relevant if label not in r.labels]
        if 0 < len(without) < len(relevant):
            parts.append(f"{label} in {len(relevant) - len(without)} of {len(relevant)}")
            incomplete |= {r.origin: r for r in without}
    return about(
        list(incomplete.values()),
        "mixed-labels",
        "warning",
        "only some structures have the labels " + ", ".join(parts),
        "If this is intended, write `data: {missing: allow}`; missing labels are not trained on.",
    )
