"""Checks of energies, forces and stresses on their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from reann.data.check.finding import Finding, about
from reann.data.check.record import Record

SMALL_FORCES, LARGE_FORCES = 0.06, 10.0
"""eV/Å; outside of them the typical force suggests another unit."""
OUTLIER = 6.0
"""Robust standard deviations of the logarithm of a force; twice as many of an energy."""
FEW = 0.05
"""Fraction of the structures up to which they are outliers and not a broad distribution."""
LEAST_OUTLYING_FORCE = 10.0
"""eV/Å."""
ENERGY_APART = 0.5
"""eV per atom, at least."""
NET_FORCE_NOTE, NET_FORCE_WARNING = 0.003, 0.03
"""eV/Å per component: |sum of F| / sqrt(3 N), the noise that explains the net force."""
MOST, WIDESPREAD = 0.5, 0.2
"""Fraction of the structures of the same atoms that show fixed atoms; of all that make it usual."""
FREE_ENERGY_GAP = 1e-3
"""eV per atom."""


def labels_mixed(records: Sequence[Record]) -> Finding | None:
    """Labels that some structures have and others lack."""
    parts: list[str] = []
    lacking: list[Record] = []
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
            lacking += [r for r in without if r not in lacking[-1:]]
    return about(
        lacking,
        "mixed-labels",
        "warning",
        "labels that only some structures have: " + ", ".join(parts),
        "If that is meant, write `data: {missing: allow}`; what is absent is then not trained on.",
    )


def force_unit(records: Sequence[Record]) -> Finding | None:
    """Typical forces that no common sampling in eV/Å has."""
    sizes = np.array([r.force_rms for r in records if r.force_rms is not None])
    sizes = sizes[sizes > 1e-6]
    if len(sizes) < 5:
        return None
    low, typical, high = np.percentile(sizes, [20, 50, 80])
    if high < SMALL_FORCES:
        words = "small: Hartree/Bohr (51.4 eV/Å) give such numbers, and so do nearly relaxed atoms"
        fix = "Unless they are relaxed: `data: {units: {energy: Ha, forces: Ha/Bohr}}`. On the "
        fix += "command line: --unit energy=Ha --unit forces=Ha/Bohr."
    elif low > LARGE_FORCES:
        words = "large: kcal/mol/Å (0.043 eV/Å) give such numbers, and so do random geometries"
        fix = "Unless they are random: `data: {units: {energy: kcal/mol, forces: kcal/mol/Ang}}`. "
        fix += "On the command line: --unit energy=kcal/mol --unit forces=kcal/mol/Ang."
    else:
        return None
    message = f"forces are {typical:.3g} eV/Å (median of root mean squares), {words}"
    return Finding("force-unit", "warning", message, fix, len(sizes))


def force_outliers(records: Sequence[Record]) -> Finding | None:
    """Structures whose largest force is far outside of the distribution."""
    some = [r for r in records if r.force_max is not None and r.force_max > 1e-6]
    if len(some) < 20:
        return None
    logs = np.log([r.force_max or 0.0 for r in some])
    middle = float(np.median(logs))
    width = max(1.4826 * float(np.median(np.abs(logs - middle))), np.log(1.2))
    limit = max(float(np.exp(middle + OUTLIER * width)), LEAST_OUTLYING_FORCE)
    bad = sorted(
        (r for r in some if (r.force_max or 0.0) > limit), key=lambda r: -(r.force_max or 0)
    )
    if len(bad) > FEW * len(some):
        return None
    return about(
        bad,
        "force-outliers",
        "warning",
        f"largest force above {limit:.3g} eV/Å, where {np.exp(middle):.3g} is typical",
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


def zero_forces(records: Sequence[Record]) -> Finding | None:
    """Atoms that feel exactly no force in most structures: constraints were applied."""
    some = [r for r in records if r.force_rms is not None and r.force_rms > 0.0]
    kinds: dict[tuple[int, int], list[Record]] = {}
    for r in some:
        kinds.setdefault((r.order, r.n_atoms), []).append(r)
    bad: list[Record] = []
    atoms: Counter[int] = Counter()
    for (_, n_atoms), members in kinds.items():
        often = np.zeros(n_atoms)
        for r in members:
            often += _zero_atoms(r)
        fixed = np.flatnonzero(often > MOST * len(members))
        if len(fixed) and len(members) >= 3:
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


def energy_outliers(records: Sequence[Record]) -> Finding | None:
    """Energies per atom far from the others of the same stoichiometry."""
    groups: dict[tuple[tuple[int, float], ...], list[Record]] = {}
    for r in records:
        if r.energy is not None and r.n_atoms > 1:
            key = tuple((z, round(count / r.n_atoms, 6)) for z, count in r.composition)
            groups.setdefault(key, []).append(r)
    apart: dict[str, float] = {}
    bad: list[Record] = []
    for members in groups.values():
        energies = np.array([(r.energy or 0.0) / r.n_atoms for r in members])
        away = energies - np.median(energies)
        limit = max(2 * OUTLIER * 1.4826 * float(np.median(np.abs(away))), ENERGY_APART)
        far = np.flatnonzero(np.abs(away) > limit)
        if 0 < len(far) <= FEW * len(members):
            bad += [members[i] for i in far]
            apart.update({members[i].origin: float(away[i]) for i in far})
    return about(
        sorted(bad, key=lambda r: -abs(apart[r.origin])),
        "energy-outliers",
        "warning",
        f"energies more than {ENERGY_APART} eV/atom away from nearly all others of the same "
        "stoichiometry",
        "Look at them: another setting of the calculation, another unit, or atoms that collide.",
        lambda r: f" ({apart[r.origin]:+.2f} eV/atom)",
    )


def energy_constant(records: Sequence[Record]) -> Finding | None:
    """One and the same energy everywhere."""
    some = [r for r in records if r.energy is not None]
    if len(some) < 3 or len({r.energy for r in some}) > 1:
        return None
    if len({r.projections for r in some}) == 1:
        return None
    return about(
        some,
        "constant-energy",
        "error",
        "all energies are equal",
        "Name the right key: data.keys.energy.",
    )


def free_energy(records: Sequence[Record]) -> Finding | None:
    """Energy and free energy differ, and the forces belong to the free energy."""
    bad = [r for r in records if abs(r.free_energy_gap or 0.0) > FREE_ENERGY_GAP]
    widest = max((abs(r.free_energy_gap or 0.0) for r in bad), default=0.0)
    return about(
        bad,
        "free-energy",
        "note",
        f"free_energy and energy differ by up to {1e3 * widest:.1f} meV/atom",
        "Smeared electrons: the forces belong to the free energy, which is trained on unless "
        "`data.keys.energy` says otherwise.",
    )


def stress_without_volume(records: Sequence[Record]) -> Finding | None:
    """Stresses where the cell is not periodic in all directions."""
    return about(
        [r for r in records if r.stress_max is not None and not all(r.pbc)],
        "stress-without-volume",
        "note",
        "stresses of structures that are not periodic in three directions",
        "They have no volume to refer to; when they disturb, write `data: {keys: {stress: null}}`, "
        "on the command line --key stress=null.",
    )


def _zero_atoms(r: Record) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(r.zero_forces, np.uint8), count=r.n_atoms)
    return bits.astype(bool)
