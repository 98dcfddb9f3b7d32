"""Checks of forces on their own: size, outliers, net force, fixed atoms, placeholders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols

from reann.data.check.bonds import HYDROGEN_BONDS, Bonds, stiffness
from reann.data.check.finding import MOST_EXAMPLES, Finding, about, placeholders
from reann.data.check.outliers import apart
from reann.data.check.record import Record, collides

SMALL_FORCES, LARGE_FORCES = 0.06, 10.0
"""eV/Å; outside of them the typical force suggests another unit."""
OUTLIER = 6.0
"""Robust standard deviations of the logarithm of a force."""
FEWEST = 5
"""Structures from which a distribution is known."""
LEAST_OUTLYING_FORCE, MOST_OF_COLLISIONS = 10.0, 500.0
"""eV/Å."""
NET_FORCE_NOTE, NET_FORCE_WARNING = 0.003, 0.03
"""eV/Å per component: |sum of F| / sqrt(3 N), the noise that explains the net force."""
MOST, WIDESPREAD = 0.5, 0.2
"""Fraction of the structures of the same atoms that show fixed atoms; of all that make it usual."""
OPPOSITE = -0.4
"""Rank correlation along bonds below which forces have the wrong sign; right ones have 0 to 1."""
CLEAR = 0.7
"""Rank correlation along bonds from which the stiffness is known."""
CLEAR_SIGN, FEWEST_OPPOSITE = 0.5, 3
"""Correlation along the bonds of a structure that is certain; so many structures are no chance."""
STIFFNESS = (8.0, 150.0)
"""eV/Å^2, of bonds of hydrogen: 25 to 45 in molecules and water."""


def force_unit(records: Sequence[Record]) -> Finding | None:
    """Typical forces that no common sampling in eV/Å has."""
    sizes = np.array([r.force_rms for r in records if r.force_rms is not None])
    sizes = sizes[sizes > 1e-6]
    if len(sizes) < FEWEST:
        return None
    low, typical, high = np.percentile(sizes, [20, 50, 80])
    if high < SMALL_FORCES:
        words = "small: Hartree/Bohr (51.4 eV/Å) give such numbers, and so do nearly relaxed atoms"
        fix = "Unless they are relaxed: `data: {units: {energy: Ha, forces: Ha/Bohr}}`."
        option = "--unit energy=Ha --unit forces=Ha/Bohr"
    elif low > LARGE_FORCES:
        words = "large: kcal/mol/Å (0.043 eV/Å) give such numbers, and so do random geometries"
        fix = "Unless they are random: `data: {units: {energy: kcal/mol, forces: kcal/mol/Ang}}`."
        option = "--unit energy=kcal/mol --unit forces=kcal/mol/Ang"
    else:
        return None
    message = f"forces are {typical:.3g} eV/Å (median of root mean squares), {words}"
    return Finding("force-unit", "warning", message, fix, len(sizes), option=option)


def force_outliers(records: Sequence[Record]) -> Finding | None:
    """Structures whose largest force is far outside of the distribution."""
    largest = {r.origin: r.force_max for r in records if r.force_max is not None}
    # Atoms that collide have large forces; `close-atoms` names them.
    some = [
        r
        for r in records
        if largest.get(r.origin, 0.0) > (MOST_OF_COLLISIONS if collides(r) else 1e-6)
    ]
    if len(some) < FEWEST:
        return None
    logs = np.log([largest[r.origin] for r in some])
    middle = float(np.median(logs))
    width = max(1.4826 * float(np.median(np.abs(logs - middle))), np.log(1.2))
    limit = max(float(np.exp(middle + OUTLIER * width)), LEAST_OUTLYING_FORCE)
    bad = [some[i] for i in apart(np.exp(logs), np.full(len(some), limit))]
    return about(
        bad,
        "force-outliers",
        "warning",
        f"largest force above {limit:.3g} eV/Å, where {np.exp(middle):.3g} eV/Å is typical",
        "Look at them: a calculation that did not converge, or atoms that collide.",
        lambda r: f" (atom {r.force_max_atom}, {r.force_max:.3g} eV/Å)",
    )


def net_force(records: Sequence[Record]) -> Finding | None:
    """Net forces, which no potential can reproduce."""
    some = [r for r in records if r.force_rms is not None and r.n_atoms > 1]
    if not some:
        return None
    noise = np.array([r.net_force / np.sqrt(3 * r.n_atoms) for r in some])
    typical = float(np.median(noise))
    if typical < NET_FORCE_NOTE:
        return None
    rms = float(np.median([r.force_rms or 0.0 for r in some]))
    net = float(np.median([r.net_force for r in some]))
    worst = max(some, key=lambda r: r.net_force)
    constrained = any(_zero_atoms(r).any() for r in some)
    return Finding(
        "net-force",
        "warning" if typical > NET_FORCE_WARNING else "note",
        f"forces do not add up to zero: the net force is {net:.2g}"
        f" eV/Å (median), as noise of {1e3 * typical:.1f} meV/Å on each component would give"
        f" (forces are {rms:.2g} eV/Å)",
        "Expected where atoms are fixed: see `zero-forces`."
        if constrained
        else "Force errors cannot fall much below that noise. A finer grid, tighter convergence or "
        "subtracting the mean force helps; an external field on a charged system explains it.",
        len(some),
        (f"{worst.origin} ({worst.net_force:.2g} eV/Å)",),
    )


def all_forces_zero(records: Sequence[Record]) -> Finding | None:
    """Forces that are exactly zero on all atoms: placeholders that no program computed.

    The forces of a perfect crystal vanish at any strain: a geometry that is the same in scaled
    positions counts once.
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
            f"the forces of {len(zero)} of {len(labeled)} structures are exactly zero on every "
            "atom: perfect crystals, or placeholders",
            "Right for perfect crystals at any strain; else remove these structures.",
        )
    if not molecules and len(distinct) < 3:
        return None
    return placeholders(zero, labeled, "forces", "forces", " on every atom")


def zero_component(records: Sequence[Record]) -> Finding | None:
    """Forces without a component along an axis, which no symmetry explains."""
    measured = [r for r in records if r.force_rms and r.n_atoms > 1 and r.closest[2] >= 0]
    bad = [r for r in measured if r.axes_without_forces]
    whole = len(bad) == len(measured) and len(bad) >= 3
    axes = sorted({axis for r in bad for axis in r.axes_without_forces})
    return about(
        bad,
        "zero-component",
        "error" if whole else "warning",
        f"the forces along {' and '.join(axes)} are exactly zero on every atom of "
        f"{'all' if whole else f'{len(bad)} of {len(measured)}'} structures, which no symmetry "
        "explains",
        "Write all three components. Forces that a constraint set to zero belong to atoms that "
        "`data.ignore_forces_of` can name.",
    )


def zero_forces(records: Sequence[Record]) -> Finding | None:
    """Atoms that feel exactly no force in most structures: constraints were applied."""
    some = [r for r in records if r.force_rms is not None and r.force_rms > 0.0]
    kinds: dict[tuple[int, int], list[Record]] = {}
    for r in some:
        kinds.setdefault((r.order, r.n_atoms), []).append(r)
    bad: list[Record] = []
    atoms: Counter[int] = Counter()
    for (_, n_atoms), members in kinds.items():
        if len(members) < 3:
            continue
        often = np.zeros(n_atoms)
        for r in members:
            often += _zero_atoms(r)
        fixed = np.flatnonzero(often > MOST * len(members))
        if len(fixed):
            bad += [r for r in members if _zero_atoms(r)[fixed].any()]
            atoms.update(fixed.tolist())
    usual = len(bad) > WIDESPREAD * len(some)
    which = sorted(atoms)
    shown = ", ".join(map(str, which[:6])) + (f", … ({len(which)} atoms)" if len(which) > 6 else "")
    return about(
        bad,
        "zero-forces",
        "warning" if usual else "note",
        f"the force is exactly zero on atoms {shown} in most structures of the same atoms",
        "Fixed atoms, whose forces were set to zero: `data: {ignore_forces_of: constrained}`, or "
        "the name of a mask. Atoms at sites of high symmetry are right as they are.",
    )


def along_bonds(bonds: Bonds) -> Finding | None:
    """Forces along the shortest distances that have the wrong sign or size."""
    every = bonds.by_elements()
    if not every:
        return None
    ranks, total = bonds.alignment()
    if total < OPPOSITE:
        return Finding(
            "forces-along-bonds",
            "error",
            f"compressed bonds attract and stretched ones repel (rank correlation {total:.2f} "
            f"over {sum(map(len, every.values()))} bonds): the forces have the opposite sign",
            "They are gradients: change their sign in the file.",
        )
    for (a, b), rows in every.items():
        clear = (a, b) in HYDROGEN_BONDS and ranks[a, b] > CLEAR
        size = stiffness(rows)
        if clear and not STIFFNESS[0] < size < STIFFNESS[1]:
            bond = f"{chemical_symbols[a]}-{chemical_symbols[b]}"
            return Finding(
                "forces-along-bonds",
                "warning",
                f"by these forces, {bond} bonds have a stiffness of {size:.3g} eV/Å² over "
                f"{len(rows)} bonds; 25 to 45 eV/Å² is usual: another unit of the forces",
                "In Hartree/Bohr the value is 51 times too small, in kcal/mol/Å 23 times too "
                "large: `data: {units: {forces: ...}}`.",
                option="--unit forces=UNIT",
            )
    return None


def signs_along_bonds(bonds: Bonds) -> Finding | None:
    """Forces of the opposite sign in part of the structures."""
    by_structure = bonds.by_structure()
    opposite = tuple(origin for origin, value in by_structure.items() if value < -CLEAR_SIGN)
    n_clear = sum(abs(value) > CLEAR_SIGN for value in by_structure.values())
    unclear = len(by_structure) - n_clear
    if len(opposite) < FEWEST_OPPOSITE or unclear >= len(opposite) or len(opposite) == n_clear:
        return None
    return Finding(
        "forces-of-both-signs",
        "warning",
        f"in {len(opposite)} of {len(by_structure)} structures compressed bonds of hydrogen "
        f"attract and stretched ones repel, in {n_clear - len(opposite)} it is the other way "
        "round: part of the forces has the opposite sign",
        "Change the sign of the forces that are gradients in the file.",
        len(opposite),
        opposite[:MOST_EXAMPLES],
    )


def _zero_atoms(r: Record) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(r.zero_forces, np.uint8), count=r.n_atoms)
    return bits.astype(bool)
