"""Energies of one composition that form two groups, possibly computed by two methods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann.data.check.energies import LARGE_GROUP
from reann.data.check.finding import Finding, Severity, about
from reann.data.check.inputs import of_the_energy
from reann.data.check.record import Record

SMALLEST_PART = 0.05
"""Minimum fraction of structures in the smaller group; fewer are outliers."""
APART = 4.0
"""Gap between the groups over the robust width of the wider one."""
NO_PHASES = 1.5
"""eV per atom, larger than usual differences between phases and isomers of a composition."""
NO_CHEMISTRY = 30.0
"""eV per atom, larger than the difference of any two geometries of a composition: the energies must
have different units, zeros or numbers of electrons."""


def energy_groups(records: Sequence[Record]) -> Finding | None:
    """Report energies of a composition in two groups separated by a wide gap.

    Structures with different charges or spins, if these are inputs of the model, are different. All
    compositions with enough structures are checked and the widest gap is reported. A constant
    difference of two methods is detected only if it exceeds the spread of the energies.
    """
    alike: dict[Hashable, list[Record]] = defaultdict(list)
    for r in records:
        if r.energy is not None and r.n_atoms > 1:
            alike[r.composition, of_the_energy(r.inputs)].append(r)
    large = [members for members in alike.values() if len(members) >= LARGE_GROUP]
    gaps = [(*_gap(np.array([r.energy for r in some], float)), some) for some in large]
    gap, limit, members = max(gaps, key=lambda g: g[0] / g[2][0].n_atoms, default=(0.0, 0.0, []))
    if gap == 0.0:
        return None
    n_atoms = members[0].n_atoms
    severity: Severity = "warning" if gap > NO_PHASES * n_atoms else "note"
    if gap > NO_CHEMISTRY * n_atoms:
        severity = "error"
    high = [r for r in members if r.energy is not None and r.energy > limit]
    formula = "".join(f"{chemical_symbols[z]}{n}" for z, n in members[0].composition)
    return about(
        high,
        "energy-groups",
        severity,
        f"the energies of {formula} form two groups: {len(members) - len(high)} "
        f"structures, and {len(high)} that are at least {gap:.4g} eV ({gap / n_atoms:.3g} eV/atom) "
        "higher",
        "The groups have different units, zeros or numbers of electrons: convert one of them, or "
        "train on two heads (`data.keys.head`) if they were computed by two methods."
        if severity == "error"
        else "This is correct for two phases or isomers, but not for two methods, "
        "pseudopotentials or settings: compare the calculations.",
    )


def _gap(energies: NDArray[np.float64]) -> tuple[float, float]:
    """Return the gap between two groups of energies and its center, eV; zeros without a gap."""
    if len(np.unique(energies)) < LARGE_GROUP:
        return 0.0, 0.0  # rounded or repeated
    ordered = np.sort(energies)
    fewest = max(3, int(np.ceil(SMALLEST_PART * len(ordered))))
    steps = np.diff(ordered)[fewest - 1 : len(ordered) - fewest]
    first = fewest + int(np.argmax(steps))  # of the upper group
    below, above = ordered[:first], ordered[first:]
    gap = float(above[0] - below[-1])
    if gap <= APART * max(_width(below), _width(above)):
        return 0.0, 0.0
    return gap, float(below[-1] + above[0]) / 2


def _width(values: NDArray[np.float64]) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
