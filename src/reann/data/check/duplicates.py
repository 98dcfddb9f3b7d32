"""Repeated geometries: duplicates if the labels agree, contradictions if they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from reann.data.check.finding import MOST_EXAMPLES, Finding
from reann.data.check.record import Record
from reann.data.labels.conditions import unknown_to_model, varying
from reann.data.labels.names import names_of

Twins = tuple[Record, Record]

SAME_GEOMETRY = 3e-5
"""Å, between projections: larger than rounding positions to 1e-5 Å, smaller than moving one atom
by 1e-3 Å."""
DIFFERENT_GEOMETRY = 1e-3
"""Å, between projections: forces cannot be equal in all digits."""
MANY_DIGITS = 100
"""Typical energy change over the smallest difference, above which equal energies are no
coincidence."""
ALIKE = 1e-3
"""Relative difference of forces or distances below which structures may be mirror images."""
SAME_ENERGY = 1e-3
"""eV, times the root of the number of atoms."""
SAME_FORCES = 0.01
"""Relative difference of the root mean squares; below 0.1 eV/Å, relative to 0.1 eV/Å."""


def twins(records: Sequence[Record]) -> list[Twins]:
    """Pair each repeated structure with its first occurrence."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        if record.n_atoms:
            groups[record.order, record.composition, record.inputs].append(index)
    pairs: list[tuple[int, int]] = []
    for members in groups.values():
        if len(members) > 1:
            pairs += _pairs(records, members)
    return [(records[a], records[b]) for a, b in sorted(pairs)]


def _pairs(records: Sequence[Record], members: list[int]) -> list[tuple[int, int]]:
    points = np.array([records[i].projections for i in members])
    order = np.argsort(points[:, 0], kind="stable")
    pairs: list[tuple[int, int]] = []
    originals: list[int] = []
    for at in order:
        for earlier in reversed(originals):
            if not points[at, 0] - points[earlier, 0] <= SAME_GEOMETRY:
                originals.append(at)
                break
            if (np.abs(points[at] - points[earlier]) <= SAME_GEOMETRY).all():
                pairs.append((members[min(earlier, at)], members[max(earlier, at)]))
                break
        else:
            originals.append(at)
    return pairs


def _agree(a: Record, b: Record) -> bool:
    energies = (
        a.energy is None
        or b.energy is None
        or abs(a.energy - b.energy) <= SAME_ENERGY * a.n_atoms**0.5
    )
    forces = (
        a.force_rms is None
        or b.force_rms is None
        or abs(a.force_rms - b.force_rms) <= SAME_FORCES * max(a.force_rms, 0.1)
    )
    return energies and forces


def repeated_forces(records: Sequence[Record]) -> Finding | None:
    """Report forces that equal those of another geometry in all digits."""
    first: dict[tuple[object, ...], Record] = {}
    pairs: list[Twins] = []
    for record in records:
        if record.force_projections and record.n_atoms > 1:
            digits = tuple(round(x, 9) for x in record.force_projections)
            other = first.setdefault((record.order, digits), record)
            moved = np.abs(np.subtract(other.projections, record.projections)).max()
            if moved > DIFFERENT_GEOMETRY:
                pairs.append((other, record))
    return _finding(
        pairs,
        "repeated-forces",
        "the forces of different geometries agree in all digits",
        "Labels of an earlier step were probably written again: recompute them. Ignore this if "
        "the structures differ only by atoms in other periodic images.",
    )


def repeated_energies(records: Sequence[Record]) -> Finding | None:
    """Report energies that equal the energy of the previous, different geometry in all digits.

    Mirror images are exempt: they have equal energies, and forces of equal size. So are energies
    with few digits, which may be equal by coincidence.
    """
    steps = [
        (a, b, abs(b.energy - a.energy))
        for a, b in pairwise(records)
        if a.energy is not None
        and b.energy is not None
        and (a.file, a.order, a.composition) == (b.file, b.order, b.composition)
        and a.n_atoms > 1
    ]
    changes = np.array([change for _, _, change in steps])
    if not (changes > 0.0).any():
        return None
    known = np.unique([r.energy for r in records if r.energy is not None])
    if np.median(changes[changes > 0.0]) < MANY_DIGITS * np.diff(known).min():
        return None
    pairs = [
        (a, b)
        for a, b, change in steps
        if change == 0.0
        and np.abs(np.subtract(a.projections, b.projections)).max() > DIFFERENT_GEOMETRY
        and not _mirrored(a, b)
    ]
    return _finding(
        pairs,
        "repeated-energies",
        "the energies of consecutive, different geometries agree in all digits",
        "Labels of an earlier step were probably written again: recompute them.",
    )


def _mirrored(a: Record, b: Record) -> bool:
    """Whether two structures may be mirror images, which have equal energies."""
    if a.force_rms is not None and b.force_rms is not None and max(a.force_rms, b.force_rms) > 0:
        return abs(a.force_rms - b.force_rms) <= ALIKE * max(a.force_rms, b.force_rms)
    if a.closest[2] < 0 or b.closest[2] < 0:  # not measured
        return True
    return abs(a.closest[0] - b.closest[0]) <= ALIKE * a.closest[0]


def repeated(pairs: Sequence[Twins]) -> Finding | None:
    """Report geometries that are repeated with the same labels in one file."""
    return _finding(
        [(a, b) for a, b in pairs if a.file == b.file and _agree(a, b)],
        "duplicates",
        "structures appear earlier in the same file, with the same energy and forces",
        "Remove them; otherwise a random validation set contains structures of the training set.",
    )


def leaked(pairs: Sequence[Twins]) -> Finding | None:
    """Report geometries that are repeated with the same labels in another file."""
    return _finding(
        [(a, b) for a, b in pairs if a.file != b.file and _agree(a, b)],
        "duplicates-across-files",
        "structures also appear in another file, with the same energy and forces",
        "If one file is for training and the other for validation or testing, remove them from "
        "one of the two.",
    )


def contradictions(pairs: Sequence[Twins]) -> Finding | None:
    """Report geometries that are repeated with other labels."""
    bad = [(a, b) for a, b in pairs if not _agree(a, b)]
    gaps = [abs(a.energy - b.energy) for a, b in bad if None not in (a.energy, b.energy)]  # type: ignore[operator]
    widest = f"; energies differ by up to {max(gaps):.3g} eV" if gaps else ""
    names = sorted({name for a, b in bad for name in varying(a.conditions, b.conditions)})
    return _finding(
        bad,
        "contradictions",
        "structures have equal geometries but different energies or forces"
        + widest
        + unknown_to_model(names),
        f"{_as_input(names)}rain on one value of {', '.join(names)} at a time."
        if names
        else "Charge, spin, field or settings of the calculation differ, which are not inputs of "
        "the model: train on one kind at a time.",
    )


def _as_input(names: Sequence[str]) -> str:
    """Return the beginning of a fix: inputs that a model may have."""
    inputs = [name for name in ("charge", "spin") if names_of(name, names)]
    return f"Write `model: {{inputs: [{', '.join(inputs)}]}}`, or t" if inputs else "T"


def _finding(pairs: Sequence[Twins], name: str, message: str, fix: str) -> Finding | None:
    if not pairs:
        return None
    examples = tuple(f"{b.origin} = {a.origin}" for a, b in pairs[:MOST_EXAMPLES])
    return Finding(name, "warning", message, fix, len(pairs), examples)
