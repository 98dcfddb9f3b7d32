"""Numbers written with so few digits that rounding errors matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reann.data.check.finding import Finding, about
from reann.data.check.record import Record

FEWEST = 10
"""Minimum number of structures, to exclude coincidence."""
COARSE_ENERGY = 2e-4
"""Size of the last digit, eV per atom."""
COARSE_FORCE = 0.02
"""Last digit over the typical force: rounding is then 1 % of each component."""
MOST = 0.9
"""Fraction of the structures."""


def energy_digits(records: Sequence[Record]) -> Finding | None:
    """Report energies whose last digit is large: rounded, or stored in single precision."""
    labeled = [r for r in records if r.energy is not None and r.n_atoms > 1]
    energies = np.array([r.energy for r in labeled], float)
    if len(energies) < FEWEST or len(np.unique(energies)) < 2:
        return None
    steps = [10.0**-n for n in range(5) if np.array_equal(np.round(energies, n), energies)]
    how = "rounded"
    if not steps and np.array_equal(energies.astype(np.float32), energies):
        steps = [float(np.spacing(np.abs(energies).max().astype(np.float32)))]
        how = "single precision"
    step = max(steps, default=0.0)
    coarse = step / float(np.median([r.n_atoms for r in labeled]))
    if coarse < COARSE_ENERGY:
        return None
    return Finding(
        "energy-digits",
        "warning",
        f"the last digit of the energies is {step:.2g} eV, {1e3 * coarse:.2g} meV/atom ({how}): "
        "energy errors cannot be smaller",
        "Write the energies again in double precision, with all digits.",
        len(labeled),
    )


def force_digits(records: Sequence[Record]) -> Finding | None:
    """Report forces in eV/Å whose last digit is large compared with typical forces."""
    labeled = [r for r in records if r.force_rms and not np.isnan(r.force_digit)]
    bad = [r for r in labeled if r.force_digit > 0.0]
    if len(bad) < FEWEST or len(bad) < MOST * len(labeled):
        return None
    digit = min(r.force_digit for r in bad)
    size = float(np.median(np.array([r.force_rms for r in bad], float)))
    if digit < COARSE_FORCE * size:
        return None
    return about(
        bad,
        "force-digits",
        "warning",
        f"the last digit of the forces is {digit:g} eV/Å: rounding alone gives an error of "
        f"{1e3 * digit / np.sqrt(12):.2g} meV/Å in each component (typical forces are "
        f"{size:.2g} eV/Å)",
        "Write the forces again with five decimals or more.",
    )


def coarse_positions(records: Sequence[Record]) -> Finding | None:
    """Report positions with at most two decimals if there are forces."""
    labeled = [r for r in records if r.force_rms]
    bad = [r for r in labeled if r.coarse]
    if len(bad) < FEWEST or len(bad) < MOST * len(labeled):
        return None
    return about(
        bad,
        "few-digits",
        "warning",
        "all positions have at most two decimals: for stiff bonds (50 eV/Å²), 0.005 Å correspond "
        "to an error of 0.25 eV/Å in the forces",
        "Write the positions again with five decimals or more.",
    )
