"""Checks of dipole moments and their derivatives: periodic structures, electric fields, sums.

Of one geometry in two fields F and F' the energies differ by -(mu + mu') . (F' - F) / 2, because
mu = -dE/dF, up to third order in the fields. Programs that store +dE/dF have dipoles of the
opposite sign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from reann.data.check.duplicates import SAME_GEOMETRY
from reann.data.check.finding import Finding, about
from reann.data.check.record import Record
from reann.data.labels.names import names_of

SMALLEST_WORK = 2e-3
"""Smallest difference of energies that is not rounding, eV."""
FEWEST = 3
"""Minimum number of pairs of structures."""
AGREES = 0.1
"""Largest deviation of the ratio of both sides from 1 or -1."""

SUM_OF_BORN_CHARGES = 0.02
"""Largest deviation of the sum of Born effective charges from the total charge, e per atom."""

Vector = tuple[float, ...]
Pair = tuple[Record, Record]


def field_of(r: Record) -> Vector:
    """Return the external field of a structure, in V/Å where the model asks for it."""
    named = [(n, v) for n, v in (*r.inputs, *r.conditions) if "field" in n.lower()]
    return next((v for _, v in named if isinstance(v, tuple) and len(v) == 3), (0.0, 0.0, 0.0))


def periodic_dipoles(records: Sequence[Record]) -> Finding | None:
    """Report periodic structures with a dipole moment."""
    return about(
        [r for r in records if "dipole" in r.labels and any(r.pbc)],
        "periodic-dipoles",
        "note",
        "dipole moments of periodic structures are defined only up to multiples of an electron"
        " charge times a lattice vector",
        "Make sure that all of them belong to the same branch of the polarization.",
    )


def dipoles_in_fields(records: Sequence[Record]) -> Finding | None:
    """Return whether energies of one geometry in several fields agree with the dipoles."""
    compared = [(a, b, work) for a, b in _same_geometry(records) if (work := _work(a, b))]
    if len(compared) < FEWEST:
        return None
    ratios = np.array([(b.energy - a.energy) / work for a, b, work in compared])  # type: ignore[operator]
    ratio = float(np.median(ratios))
    spread = float(np.median(np.abs(ratios - ratio)))
    pairs = f"{len(compared)} pairs of structures with one geometry in two fields"
    concerned = [b for _, b, _ in compared]
    if abs(ratio - 1.0) <= AGREES:
        return about(
            concerned,
            "dipoles-agree",
            "note",
            f"energies in fields agree with dE/dF = -dipole (factor {ratio:.3f} in {pairs})",
            "No action is needed.",
        )
    if abs(ratio + 1.0) <= AGREES:
        return about(
            concerned,
            "dipole-sign",
            "error",
            f"the dipoles have the opposite sign of -dE/dF: energies change by {ratio:.3f} times"
            f" the change expected from the dipoles, in {pairs}",
            "Multiply the dipoles by -1, and the polarizabilities if they come from the same"
            " program. (FIREANN stores +dE/dF; `reann convert` changes the sign.) If the fields"
            " have the wrong sign, change that of the fields.",
        )
    consistent = spread <= AGREES * abs(ratio)
    return about(
        concerned,
        "dipoles-disagree",
        "error" if consistent else "warning",
        f"energies in fields contradict dE/dF = -dipole: they change by {ratio:.3g} times the"
        f" change expected from the dipoles, in {pairs}"
        + ("" if consistent else f", which varies by {spread:.2g}"),
        "Check the units of dipoles (e Å) and fields (V/Å; 1 a.u. = 51.42207 V/Å)."
        if consistent
        else "The energies must include the energy in the field (-dipole . field and so on).",
    )


def sums_of_born_charges(records: Sequence[Record]) -> Finding | None:
    """Report Born effective charges whose sum is not the total charge times the identity."""
    excess = {r.origin: x for r in records if (x := _excess_of_born_charges(r)) is not None}
    wrong = [r for r in records if excess.get(r.origin, 0.0) > SUM_OF_BORN_CHARGES]
    return about(
        wrong,
        "born-charges-sum",
        "warning",
        "the Born effective charges do not add up to the total charge: they miss it by up to"
        f" {max(excess.values(), default=0.0):.2g} e per atom (acoustic sum rule)",
        "Converge them with the numbers of k-points and plane waves, and check their columns and,"
        " for ions, the key of the total charge. Those of a potential obey the rule.",
    )


def _excess_of_born_charges(r: Record) -> float | None:
    """Return the largest component of the sum less the total charge, e per atom."""
    if r.sum_of_born_charges is None or not r.n_atoms:
        return None
    charges = [v for n, v in (*r.inputs, *r.conditions) if names_of("charge", [n])]
    charge = float(np.ravel(charges[0])[0]) if charges else 0.0
    total = np.reshape(r.sum_of_born_charges, (3, 3)) - charge * np.eye(3)
    return float(np.abs(total).max()) / r.n_atoms


def _same_geometry(records: Sequence[Record]) -> Iterator[Pair]:
    """Yield neighbors, by the size of the field, of the structures of each geometry."""
    groups: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    if not any(any(field_of(r)) for r in records):
        return
    for r in records:
        if r.dipole is not None and r.energy is not None:
            charge = dict(r.inputs).get("charge")
            groups[r.order, r.composition, charge].append(r)
    for members in groups.values():
        members.sort(key=lambda r: r.projections)
        alike = [members[0]]
        for r in members[1:]:
            if np.abs(np.subtract(r.projections, alike[0].projections)).max() > SAME_GEOMETRY:
                yield from _by_field(alike)
                alike = []
            alike.append(r)
        yield from _by_field(alike)


def _by_field(alike: Sequence[Record]) -> Iterator[Pair]:
    yield from pairwise(sorted(alike, key=lambda r: np.linalg.norm(field_of(r))))


def _work(a: Record, b: Record) -> float | None:
    """Return the energy difference expected from the dipoles, None if it is too small."""
    mean = 0.5 * np.add(a.dipole or np.zeros(3), b.dipole or np.zeros(3))
    work = -float(mean @ np.subtract(field_of(b), field_of(a)))
    return work if abs(work) >= SMALLEST_WORK else None
