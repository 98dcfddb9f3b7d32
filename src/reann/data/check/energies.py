"""Checks of energies alone: placeholders, outliers, energies per atom, free energies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reann.data.check.finding import Finding, about
from reann.data.check.outliers import apart
from reann.data.check.record import Record, collides

OUTLIER = 6.0
"""Robust standard deviations; twice as many if the forces are also large."""
ENERGY_APART = 0.5
"""Minimum deviation of an outlier, eV per atom."""
NO_CHEMISTRY = 15.0
"""eV per atom: no geometry without colliding atoms deviates so much from the others."""
LARGE_GROUP = 20
"""Minimum number of structures of one stoichiometry that are compared with each other."""
ITERATIONS = 10
FREE_ENERGY_GAP = 1e-3
"""eV per atom."""
CLEARLY = 0.5
"""Residual of a fit assuming energies per atom over that assuming total energies: at least 2 for
total energies in reference data, 0.1 for energies per atom."""


def energy_constant(records: Sequence[Record]) -> Finding | None:
    """Report energies that are all equal."""
    labeled = [r for r in records if r.energy is not None]
    if len(labeled) < 3 or len({r.energy for r in labeled}) > 1:
        return None
    if len({r.projections for r in labeled}) == 1:
        return None
    return about(
        labeled,
        "constant-energy",
        "error",
        f"all energies are equal: {labeled[0].energy:.6g} eV",
        "Set the correct key with data.keys.energy, or null to train without energies.",
    )


def zero_energies(records: Sequence[Record]) -> Finding | None:
    """Report energies that are exactly zero among others, which are placeholders."""
    labeled = [r for r in records if r.energy is not None and r.n_atoms > 1]
    zero = [r for r in labeled if r.energy == 0.0]
    if len(zero) < 2 or len(zero) == len(labeled):
        return None
    return about(
        zero,
        "zero-energies",
        "warning",
        f"the energy of {len(zero)} of {len(labeled)} structures is exactly zero, probably a "
        "placeholder",
        "Remove these structures, or their energies.",
    )


def energy_outliers(records: Sequence[Record]) -> Finding | None:
    """Report energies per atom that deviate strongly from a fit to the compositions."""
    # Colliding atoms have high energies and are reported as `close-atoms`.
    labeled = [r for r in records if r.energy is not None and r.n_atoms > 1 and not collides(r)]
    if len(labeled) < 4:
        return None
    residuals, width = residuals_of_energies(labeled)
    forces = np.array([np.nan if r.force_rms is None else r.force_rms for r in labeled])
    typical = float(np.nanmedian(forces)) if np.isfinite(forces).any() else np.inf
    # High energies are plausible if the forces are large too; energies below all others are not.
    steep = (residuals > 0) & ~(forces < 3 * typical)
    limit = np.maximum(np.where(steep, 2, 1) * OUTLIER * width, ENERGY_APART)
    limit = np.minimum(limit, NO_CHEMISTRY)
    outlying = apart(np.abs(residuals), limit)
    by_origin = {labeled[i].origin: float(residuals[i]) for i in outlying}
    return about(
        [labeled[i] for i in outlying],
        "energy-outliers",
        "warning",
        f"energies differ by more than {min(limit[outlying], default=0.0):.2g} eV/atom from those "
        "expected for their composition",
        "Check the settings of these calculations, the unit, and whether atoms collide.",
        lambda r: f" ({by_origin[r.origin]:+.2f} eV/atom)",
    )


def energies_per_atom(records: Sequence[Record]) -> Finding | None:
    """Report energies that do not grow with the number of atoms."""
    labeled = [r for r in records if r.energy is not None and r.n_atoms > 1]
    sizes = np.array([r.n_atoms for r in labeled], float)
    compositions = {r.composition for r in labeled}
    elements = {z for r in labeled for z, _ in r.composition}
    if len(compositions) < len(elements) + 2 or sizes.max() < 1.5 * sizes.min():
        return None
    energies = np.array([r.energy for r in labeled], float)
    composition = _composition(labeled)

    def misfit(values: NDArray[np.float64]) -> float:
        fit = robust_fit(composition / sizes[:, None], values / sizes)
        return float(np.median(np.abs(values / sizes - composition / sizes[:, None] @ fit)))

    as_total, as_mean = misfit(energies), misfit(energies * sizes)
    if as_total == 0.0 or as_mean > CLEARLY * as_total:
        return None
    return Finding(
        "energies-per-atom",
        "error",
        f"energies do not grow with the number of atoms ({sizes.min():.0f} to {sizes.max():.0f}): "
        f"they look like energies per atom, which fit {as_total / max(as_mean, 1e-12):.0f} times "
        "better",
        "Write the total energy of each structure, or set its key with data.keys.energy.",
        len(labeled),
    )


def free_energy(records: Sequence[Record]) -> Finding | None:
    """Report differences of energy and free energy; the forces belong to the free energy."""
    bad = [r for r in records if abs(r.free_energy_gap or 0.0) > FREE_ENERGY_GAP]
    widest = max((abs(r.free_energy_gap or 0.0) for r in bad), default=0.0)
    return about(
        bad,
        "free-energy",
        "note",
        f"free_energy and energy differ by up to {1e3 * widest:.1f} meV/atom",
        "With smeared occupations, the forces belong to the free energy, which is trained on "
        "unless `data.keys.energy` is set.",
    )


def residuals_of_energies(
    records: Sequence[Record],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the residuals of the energies per atom, and robust widths of their distributions.

    Structures of a common stoichiometry are compared with their median, all others with a robust
    fit of the energies to the compositions.
    """
    sizes = np.array([r.n_atoms for r in records], float)
    share = _composition(records) / sizes[:, None]
    per_atom = np.array([r.energy for r in records], float) / sizes
    residuals = per_atom - share @ robust_fit(share, per_atom)
    width = np.full(len(records), 1.4826 * float(np.median(np.abs(residuals))))
    groups: dict[bytes, list[int]] = defaultdict(list)
    for i, row in enumerate(np.round(share, 6)):
        groups[row.tobytes()].append(i)
    for members in groups.values():
        if len(members) >= LARGE_GROUP or len(groups) == 1:
            residuals[members] = per_atom[members] - np.median(per_atom[members])
            width[members] = 1.4826 * float(np.median(np.abs(residuals[members])))
    return residuals, width


def _composition(records: Sequence[Record]) -> NDArray[np.float64]:
    elements = sorted({z for r in records for z, _ in r.composition})
    column = {z: i for i, z in enumerate(elements)}
    counts = np.zeros((len(records), len(elements)))
    for row, r in enumerate(records):
        for z, n in r.composition:
            counts[row, column[z]] = n
    return counts


def robust_fit(matrix: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients of a least-absolute-residuals fit, by iterative reweighting."""
    weights, fit = np.ones(len(values)), np.zeros(matrix.shape[1])
    for _ in range(ITERATIONS):
        root = np.sqrt(weights)[:, None]
        fit = np.asarray(np.linalg.lstsq(matrix * root, values * root[:, 0], rcond=1e-10)[0], float)
        residuals = np.abs(values - matrix @ fit)
        weights = 1.0 / np.maximum(residuals, 1e-3)
    return fit
