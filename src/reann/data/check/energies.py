"""Checks of energies on their own: placeholders, outliers, energies per atom, free energies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reann.data.check.finding import Finding, about
from reann.data.check.outliers import apart
from reann.data.check.record import Record, collides

OUTLIER = 6.0
"""Robust standard deviations; twice as many where forces are large too."""
ENERGY_APART = 0.5
"""eV per atom, at least."""
NO_CHEMISTRY = 15.0
"""eV per atom: no geometry without colliding atoms is so far above or below the others."""
LARGE_GROUP = 20
"""Structures of one stoichiometry that are compared among themselves."""
ITERATIONS = 10
FREE_ENERGY_GAP = 1e-3
"""eV per atom."""
CLEARLY = 0.5
"""Residual of a fit as energies per atom over that of a fit as total energies: total energies of
reference data have at least 2, energies per atom 0.1."""


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
        f"all energies are equal: {some[0].energy:.6g} eV",
        "Name the right key: data.keys.energy, or null to train without energies.",
    )


def zero_energies(records: Sequence[Record]) -> Finding | None:
    """Energies that are exactly zero among others: placeholders that no program computed."""
    some = [r for r in records if r.energy is not None and r.n_atoms > 1]
    zero = [r for r in some if r.energy == 0.0]
    if len(zero) < 2 or len(zero) == len(some):
        return None
    return about(
        zero,
        "zero-energies",
        "warning",
        f"the energy of {len(zero)} of {len(some)} structures is exactly zero: placeholders of a "
        "converter",
        "Remove these structures, or their energies.",
    )


def energy_outliers(records: Sequence[Record]) -> Finding | None:
    """Energies per atom far from what others and the composition say."""
    # Atoms that collide have high energies; `close-atoms` names them.
    some = [r for r in records if r.energy is not None and r.n_atoms > 1 and not collides(r)]
    if len(some) < 4:
        return None
    away, width = residuals_of_energies(some)
    forces = np.array([np.nan if r.force_rms is None else r.force_rms for r in some])
    typical = float(np.nanmedian(forces)) if np.isfinite(forces).any() else np.inf
    # A structure that is high on a slope has large forces; one below all others has no excuse.
    steep = (away > 0) & ~(forces < 3 * typical)
    limit = np.maximum(np.where(steep, 2, 1) * OUTLIER * width, ENERGY_APART)
    limit = np.minimum(limit, NO_CHEMISTRY)
    outlying = apart(np.abs(away), limit)
    by_origin = {some[i].origin: float(away[i]) for i in outlying}
    return about(
        [some[i] for i in outlying],
        "energy-outliers",
        "warning",
        f"energies more than {min(limit[outlying], default=0.0):.2g} eV/atom away from nearly all "
        "others, compared by composition",
        "Look at them: another setting of the calculation, another unit, or atoms that collide.",
        lambda r: f" ({by_origin[r.origin]:+.2f} eV/atom)",
    )


def energies_per_atom(records: Sequence[Record]) -> Finding | None:
    """Energies that do not grow with the number of atoms."""
    some = [r for r in records if r.energy is not None and r.n_atoms > 1]
    sizes = np.array([r.n_atoms for r in some], float)
    compositions = {r.composition for r in some}
    elements = {z for r in some for z, _ in r.composition}
    if len(compositions) < len(elements) + 2 or sizes.max() < 1.5 * sizes.min():
        return None
    energies = np.array([r.energy for r in some], float)
    composition = _composition(some)

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
        f"they look like energies per atom, and fit so {as_total / max(as_mean, 1e-12):.0f} times "
        "better",
        "Write the total energy of each structure, or name its key: data.keys.energy.",
        len(some),
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


def residuals_of_energies(
    records: Sequence[Record],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return energies per atom minus what is expected, and the robust width of each.

    Structures of a common stoichiometry are compared with their median, the others with the
    robust fit of all energies on the composition.
    """
    sizes = np.array([r.n_atoms for r in records], float)
    share = _composition(records) / sizes[:, None]
    per_atom = np.array([r.energy for r in records], float) / sizes
    away = per_atom - share @ robust_fit(share, per_atom)
    width = np.full(len(records), 1.4826 * float(np.median(np.abs(away))))
    groups: dict[bytes, list[int]] = defaultdict(list)
    for i, row in enumerate(np.round(share, 6)):
        groups[row.tobytes()].append(i)
    for members in groups.values():
        if len(members) >= LARGE_GROUP or len(groups) == 1:
            away[members] = per_atom[members] - np.median(per_atom[members])
            width[members] = 1.4826 * float(np.median(np.abs(away[members])))
    return away, width


def _composition(records: Sequence[Record]) -> NDArray[np.float64]:
    elements = sorted({z for r in records for z, _ in r.composition})
    column = {z: i for i, z in enumerate(elements)}
    counts = np.zeros((len(records), len(elements)))
    for row, r in enumerate(records):
        for z, n in r.composition:
            counts[row, column[z]] = n
    return counts


def robust_fit(matrix: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return coefficients with the least sum of absolute residuals, by reweighting."""
    weights, fit = np.ones(len(values)), np.zeros(matrix.shape[1])
    for _ in range(ITERATIONS):
        root = np.sqrt(weights)[:, None]
        fit = np.asarray(np.linalg.lstsq(matrix * root, values * root[:, 0], rcond=1e-10)[0], float)
        residuals = np.abs(values - matrix @ fit)
        weights = 1.0 / np.maximum(residuals, 1e-3)
    return fit
