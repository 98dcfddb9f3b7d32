"""Labels that some structures have and others lack."""

from __future__ import annotations

from collections.abc import Sequence

from reann.data.check.finding import Finding, about
from reann.data.check.record import Record


def labels_mixed(records: Sequence[Record]) -> Finding | None:
    """Return which labels are absent from some structures; each structure counts once."""
    parts: list[str] = []
    lacking: dict[str, Record] = {}
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
            lacking |= {r.origin: r for r in without}
    return about(
        list(lacking.values()),
        "mixed-labels",
        "warning",
        "labels that only some structures have: " + ", ".join(parts),
        "If that is meant, write `data: {missing: allow}`; what is absent is then not trained on.",
    )
