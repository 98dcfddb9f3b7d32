"""Numbers that were written with so few digits that rounding is an error of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reann.data.check.finding import Finding, about
from reann.data.check.record import Record

FEWEST = 10
"""Structures from which digits are no chance."""
COARSE_ENERGY = 2e-4
"""eV per atom, of the last digit."""
COARSE_FORCE = 0.02
"""Last digit over the typical force: rounding is then 1 % of each component."""
MOST = 0.9
"""Fraction of the structures."""


def energy_digits(records: Sequence[Record]) -> Finding | None:
    """Energies whose last digit is large: rounded, or kept in single precision."""
    some = [r for r in records if r.energy is not None and r.n_atoms > 1]
    energies = np.array([r.energy for r in some], float)
    if len(energies) < FEWEST or len(np.unique(energies)) < 2:
        return None
    steps = [10.0**-n for n in range(5) if np.array_equal(np.round(energies, n), energies)]
    how = "rounded"
    if not steps and np.array_equal(energies.astype(np.float32), energies):
        steps = [float(np.spacing(np.abs(energies).max().astype(np.float32)))]
        how = "single precision"
    step = max(steps, default=0.0)
    coarse = step / float(np.median([r.n_atoms for r in some]))
    if coarse < COARSE_ENERGY:
        return None
    return Finding(
        "energy-digits",
        "warning",
        f"the last digit of the energies is {step:.2g} eV, {1e3 * coarse:.2g} meV/atom ({how}): "
        "errors of energies cannot fall below it",
        "Write the energies again with all digits, in double precision.",
        len(some),
    )


def force_digits(records: Sequence[Record]) -> Finding | None:
    """Forces in eV/Å whose last digit is large beside the forces; those of other units pass."""
    some = [r for r in records if r.force_rms and not np.isnan(r.force_digit)]
    bad = [r for r in some if r.force_digit > 0.0]
    if len(bad) < FEWEST or len(bad) < MOST * len(some):
        return None
    digit = min(r.force_digit for r in bad)
    size = float(np.median(np.array([r.force_rms for r in bad], float)))
    if digit < COARSE_FORCE * size:
        return None
    return about(
        bad,
        "force-digits",
        "warning",
        f"the last digit of the forces is {digit:g} eV/Å: rounding alone is an error of "
        f"{1e3 * digit / np.sqrt(12):.2g} meV/Å on each component (forces are {size:.2g} eV/Å)",
        "Write the forces again with five decimals or more.",
    )


def coarse_positions(records: Sequence[Record]) -> Finding | None:
    """Positions with at most two decimals beside forces that are not zero."""
    some = [r for r in records if r.force_rms]
    bad = [r for r in some if r.coarse]
    if len(bad) < FEWEST or len(bad) < MOST * len(some):
        return None
    return about(
        bad,
        "few-digits",
        "warning",
        "all positions have at most two decimals: where bonds are stiff (50 eV/Å²), 0.005 Å are "
        "an error of 0.25 eV/Å in the forces",
        "Write the positions again with five decimals or more.",
    )
