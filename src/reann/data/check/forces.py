"""Checks of forces alone: outliers, net force, fixed atoms, placeholders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from reann.data.check.bonds import Bonds
from reann.data.check.finding import MOST_EXAMPLES, Finding, about, placeholders
from reann.data.check.outliers import apart
from reann.data.check.record import Record, collides

OUTLIER = 6.0
"""Robust standard deviations of the logarithm of a force."""
FEWEST = 5
"""Minimum number of structures for a distribution."""
LEAST_OUTLYING_FORCE, MOST_OF_COLLISIONS = 10.0, 500.0
"""eV/Å."""
NET_FORCE_NOTE, NET_FORCE_WARNING = 0.003, 0.03
"""eV/Å per component: |sum of F| / sqrt(3 N), the noise that would explain the net force."""
MOST, WIDESPREAD = 0.5, 0.2
"""Fraction of structures of the same atoms in which an atom must have zero force to count as fixed;
fraction of all structures with fixed atoms from which the finding is a warning."""
OPPOSITE = -0.4
"""Rank correlation along bonds below which forces have the wrong sign; 0 to 1 if correct."""
CLEAR_SIGN, FEWEST_OPPOSITE = 0.5, 3
"""Correlation along the bonds of a structure above which its sign is certain; minimum number of
structures of opposite sign."""


def force_outliers(records: Sequence[Record]) -> Finding | None:
    """Report structures whose largest force is far outside the distribution."""
    largest = {r.origin: r.force_max for r in records if r.force_max is not None}
    # Colliding atoms have large forces and are reported as `close-atoms`.
    labeled = [
        r
        for r in records
        if largest.get(r.origin, 0.0) > (MOST_OF_COLLISIONS if collides(r) else 1e-6)
    ]
    if len(labeled) < FEWEST:
        return None
    logs = np.log([largest[r.origin] for r in labeled])
    middle = float(np.median(logs))
    width = max(1.4826 * float(np.median(np.abs(logs - middle))), np.log(1.2))
    limit = max(float(np.exp(middle + OUTLIER * width)), LEAST_OUTLYING_FORCE)
    bad = [labeled[i] for i in apart(np.exp(logs), np.full(len(labeled), limit))]
    return about(
        bad,
        "force-outliers",
        "warning",
        f"the largest force exceeds {limit:.3g} eV/Å; {np.exp(middle):.3g} eV/Å is typical",
        "Check the convergence of these calculations, and whether atoms collide.",
        lambda r: f" (atom {r.force_max_atom}, {r.force_max:.3g} eV/Å)",
    )


def net_force(records: Sequence[Record]) -> Finding | None:
    """Report net forces, which no potential can reproduce."""
    labeled = [r for r in records if r.force_rms is not None and r.n_atoms > 1]
    if not labeled:
        return None
    noise = np.array([r.net_force / np.sqrt(3 * r.n_atoms) for r in labeled])
    typical = float(np.median(noise))
    if typical < NET_FORCE_NOTE:
        return None
    rms = float(np.median([r.force_rms or 0.0 for r in labeled]))
    net = float(np.median([r.net_force for r in labeled]))
    worst = max(labeled, key=lambda r: r.net_force)
    constrained = any(_zero_atoms(r).any() for r in labeled)
    return Finding(
        "net-force",
        "warning" if typical > NET_FORCE_WARNING else "note",
        f"forces do not add up to zero: the net force is {net:.2g}"
        f" eV/Å (median), equivalent to noise of {1e3 * typical:.1f} meV/Å in each component"
        f" (typical forces are {rms:.2g} eV/Å)",
        "This is expected if atoms are fixed, see `zero-forces`."
        if constrained
        else "Force errors cannot be much smaller than this noise. Use a finer grid or tighter "
        "convergence, or subtract the mean force. It is expected for a charged system in an "
        "external field.",
        len(labeled),
        (f"{worst.origin} ({worst.net_force:.2g} eV/Å)",),
    )


def all_forces_zero(records: Sequence[Record]) -> Finding | None:
    """Report forces that are exactly zero on all atoms, which are placeholders.

    The forces of a perfect crystal vanish at any strain: geometries with equal scaled positions
    count once.
    """
    labeled = [r for r in records if r.force_rms is not None and r.n_atoms > 1]
    zero = [r for r in labeled if r.zero_geometry is not None]
    molecules = [r for r in zero if not r.volume]
    distinct = {(r.order, tuple(np.round(r.zero_geometry or (), 3))) for r in zero}
    if not zero or (not molecules and len(distinct) <= MOST * len(zero)):
        return None
    if not molecules and len(zero) < len(labeled) and len(distinct) < WIDESPREAD * len(labeled):
        return about(
            zero,
            "all-forces-zero",
            "note",
            f"the forces of {len(zero)} of {len(labeled)} structures are exactly zero on all "
            "atoms: perfect crystals or placeholders",
            "This is correct for perfect crystals at any strain; otherwise remove these "
            "structures.",
        )
    if not molecules and len(distinct) < 3:
        return None
    return placeholders(zero, labeled, "forces", "forces", " on all atoms")


def zero_component(records: Sequence[Record]) -> Finding | None:
    """Report forces without a component along an axis that symmetry does not explain."""
    measured = [r for r in records if r.force_rms and r.n_atoms > 1 and r.closest[2] >= 0]
    bad = [r for r in measured if r.axes_without_forces]
    whole = len(bad) == len(measured) and len(bad) >= 3
    axes = sorted({axis for r in bad for axis in r.axes_without_forces})
    return about(
        bad,
        "zero-component",
        "error" if whole else "warning",
        f"the forces along {' and '.join(axes)} are exactly zero on all atoms of "
        f"{'all' if whole else f'{len(bad)} of {len(measured)}'} structures, which symmetry does "
        "not explain",
        "Write all three components. If a constraint set them to zero, ignore the forces of these "
        "atoms with `data.ignore_forces_of`.",
    )


def zero_forces(records: Sequence[Record]) -> Finding | None:
    """Report atoms whose force is exactly zero in most structures because of constraints."""
    labeled = [r for r in records if r.force_rms is not None and r.force_rms > 0.0]
    kinds: dict[tuple[int, int], list[Record]] = {}
    for r in labeled:
        kinds.setdefault((r.order, r.n_atoms), []).append(r)
    bad: list[Record] = []
    atoms: Counter[int] = Counter()
    for (_, n_atoms), members in kinds.items():
        if len(members) < 3:
            continue
        n_zero = np.zeros(n_atoms)
        for r in members:
            n_zero += _zero_atoms(r)
        fixed = np.flatnonzero(n_zero > MOST * len(members))
        if len(fixed):
            bad += [r for r in members if _zero_atoms(r)[fixed].any()]
            atoms.update(fixed.tolist())
    usual = len(bad) > WIDESPREAD * len(labeled)
    which = sorted(atoms)
    shown = ", ".join(map(str, which[:6])) + (f", … ({len(which)} atoms)" if len(which) > 6 else "")
    return about(
        bad,
        "zero-forces",
        "warning" if usual else "note",
        f"the force on atoms {shown} is exactly zero in most structures of the same atoms",
        "If these atoms were fixed and their forces set to zero, write `data: {ignore_forces_of: "
        "constrained}` or the name of a mask. At sites of high symmetry, zero is correct.",
    )


def along_bonds(bonds: Bonds) -> Finding | None:
    """Report forces along the shortest distances with the wrong sign."""
    total, count = bonds.alignment()[1], sum(map(len, bonds.by_elements().values()))
    if total < OPPOSITE:
        return Finding(
            "forces-along-bonds",
            "error",
            f"compressed bonds attract and stretched ones repel (rank correlation {total:.2f} "
            f"over {count} bonds): the forces have the opposite sign",
            "They are gradients of the energy: change their sign in the file.",
        )
    return None


def signs_along_bonds(bonds: Bonds) -> Finding | None:
    """Report forces of the opposite sign in part of the structures."""
    by_structure = bonds.by_structure()
    opposite = tuple(origin for origin, value in by_structure.items() if value < -CLEAR_SIGN)
    n_clear = sum(abs(value) > CLEAR_SIGN for value in by_structure.values())
    unclear = len(by_structure) - n_clear
    if len(opposite) < FEWEST_OPPOSITE or unclear >= len(opposite) or len(opposite) == n_clear:
        return None
    return Finding(
        "forces-of-both-signs",
        "warning",
        f"in {len(opposite)} of {len(by_structure)} structures, compressed bonds of hydrogen "
        f"attract and stretched ones repel; in {n_clear - len(opposite)} they behave normally: "
        "part of the forces have the opposite sign",
        "In the file, change the sign of the forces that are gradients of the energy.",
        len(opposite),
        opposite[:MOST_EXAMPLES],
    )


def _zero_atoms(r: Record) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(r.zero_forces, np.uint8), count=r.n_atoms)
    return bits.astype(bool)
