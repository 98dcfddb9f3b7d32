"""Checks of stresses alone: magnitude, sign against the volume, placeholders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from reann.data.check.finding import Finding, about, placeholders
from reann.data.check.outliers import apart
from reann.data.check.record import Record, collides

LARGE, IMPOSSIBLE = 0.5, 5.0
"""eV/Å^3, typical largest component of a structure: 80 GPa, 800 GPa."""
STIFFEST = 8.0
"""eV/Å^3, a bulk modulus of 1300 GPa; diamond has 443 GPa."""
MONOTONIC = 0.4
"""Rank correlation of pressure and volume above which the sign is certain."""
FEWEST = 8
LEAST_SPREAD = 0.005
"""Standard deviation of the logarithm of the volume."""
OUTLIER = 6.0
"""Robust standard deviations of the logarithm of a stress."""
FIX = (
    "Set the unit with `data: {units: {stress: GPa}}` (or kbar, bar, MPa, Pa), or read a virial in "
    "eV with `keys: {virial: KEY}`; correct a wrong sign in the file."
)
OPTION = "--unit stress=UNIT, --key virial=KEY"


def stress_without_volume(records: Sequence[Record]) -> Finding | None:
    """Report stresses of structures that are not periodic in all directions."""
    return about(
        [r for r in records if r.unused_stress],
        "stress-without-volume",
        "note",
        "structures have a stress but are not periodic in three directions",
        "Without a volume, these stresses are not used; `data: {keys: {stress: null}}` ignores "
        "all stresses.",
        option="--key stress=null",
    )


def all_stresses_zero(records: Sequence[Record]) -> Finding | None:
    """Report stresses that are exactly zero, which are placeholders.

    If there are only a few, they must have forces: a relaxed crystal may have no stress.
    """
    labeled = [r for r in records if r.stress_max is not None]
    zero = [r for r in labeled if r.stress_max == 0.0]
    if len(zero) < 3:
        zero = [r for r in zero if r.force_rms and len(zero) < len(labeled)]
    return placeholders(zero, labeled, "stress", "stresses")


def stress_outliers(records: Sequence[Record]) -> Finding | None:
    """Report structures whose largest stress is far outside the distribution."""
    stressed = [r for r in records if r.stress_max and not collides(r)]
    if len(stressed) < FEWEST:
        return None
    logs = np.log([r.stress_max or 1.0 for r in stressed])
    middle = float(np.median(logs))
    width = max(1.4826 * float(np.median(np.abs(logs - middle))), np.log(1.2))
    limit = max(float(np.exp(middle + OUTLIER * width)), LARGE)
    bad = [stressed[i] for i in apart(np.exp(logs), np.full(len(stressed), limit))]
    return about(
        bad,
        "stress-outliers",
        "warning",
        f"the largest stress exceeds {limit:.3g} eV/Å³; {np.exp(middle):.3g} eV/Å³ is typical",
        "Check their unit and the convergence of the calculations.",
        lambda r: f" ({r.stress_max:.3g} eV/Å³)",
    )


def stress_size(records: Sequence[Record]) -> Finding | None:
    """Report typical stresses that are too large for condensed matter."""
    stressed = [r for r in records if r.stress_max]
    if len(stressed) < 3:
        return None
    typical = float(np.median([r.stress_max or 0.0 for r in stressed]))
    if typical < LARGE:
        return None
    return Finding(
        "stress-size",
        "error" if typical > IMPOSSIBLE else "warning",
        f"stresses are {typical:.3g} eV/Å³ = {160.2 * typical:.3g} GPa (median of the largest "
        "component), more than usual in condensed matter: the unit may be GPa or kbar, or they "
        "may be virials",
        FIX,
        len(stressed),
        option=OPTION,
    )


def stress_and_volume(records: Sequence[Record]) -> Finding | None:
    """Report pressures that rise with the volume or imply an impossible bulk modulus."""
    groups: dict[tuple[tuple[int, float], ...], list[tuple[float, float]]] = defaultdict(list)
    for r in records:
        if r.pressure is not None and r.volume:
            stoichiometry = tuple((z, round(n / r.n_atoms, 4)) for z, n in r.composition)
            groups[stoichiometry].append((np.log(r.volume / r.n_atoms), -r.pressure))
    arrays = [np.array(g) for g in groups.values() if len(g) > 2]
    centered = [g - np.median(g, axis=0) for g in arrays]
    rows = np.concatenate([np.zeros((0, 2)), *centered])
    if len(rows) < FEWEST or rows[:, 0].std() < LEAST_SPREAD or np.ptp(rows[:, 1]) == 0:
        return None
    ranks = rows.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    monotonic = float(np.corrcoef(ranks.T)[0, 1])
    if abs(monotonic) < MONOTONIC:
        return None
    width = np.diff(np.percentile(rows, [25, 75], axis=0), axis=0)[0]
    modulus = float(width[1] / max(width[0], 1e-6))
    if monotonic > 0 and modulus < STIFFEST:
        return None
    if monotonic < 0:
        what = "the stress becomes more negative as the volume grows: its sign is opposite to ASE's"
        what += " convention, in which compression is negative"
    else:
        what = f"stress and volume give a bulk modulus of {160.2 * modulus:.3g} GPa (diamond: 443 "
        what += "GPa): the unit is wrong, possibly GPa or kbar"
    message = f"{what} ({len(rows)} structures, rank correlation {abs(monotonic):.2f})"
    return Finding("stress-and-volume", "error", message, FIX, len(rows), option=OPTION)
