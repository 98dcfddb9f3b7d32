"""Forces whose atoms or components are in another order than the positions.

Pair forces are fitted to the forces as read and to rearrangements of them. Forces that pair forces
describe only after a rearrangement are in the wrong order. Neither energies nor close structures
are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import permutations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from reann.data.check.finding import Finding
from reann.data.check.pair_model import RIDGE, PairModel

Array = NDArray[np.float64]

MOST_STRUCTURES, MOST_ATOMS = 60, 3_000
"""Maximum number of fitted structures, and of atoms in them."""
FEWEST = 8
CUTOFF = 5.0
"""Å."""
DETERMINED = 3
"""Minimum number of force components per coefficient."""
EXPLAINED, FEWER, LESS = 0.4, 0.6, 0.2
"""Minimum fraction of the squared forces that pair forces describe in the right order; the fraction
in a wrong order must be smaller by this factor and by this difference. For reference data, the
fractions are 0.5 to 0.99 and 0.2."""
AS_READ = "as read"


def _rearranged() -> dict[str, Callable[[Array], Array]]:
    rearrangements: dict[str, Callable[[Array], Array]] = {
        AS_READ: lambda forces: forces,
        "those of the atom before": lambda forces: np.roll(forces, -1, axis=0),
        "those of the atom after": lambda forces: np.roll(forces, 1, axis=0),
        "in the reverse order of the atoms": lambda forces: forces[::-1],
    }
    for order in permutations(range(3)):
        if order != (0, 1, 2):
            name = f"in the order {' '.join('xyz'[order.index(k)] for k in range(3))}"
            rearrangements[f"{name} of the components"] = lambda forces, order=order: forces[
                :, order
            ]
    return rearrangements


REARRANGED: Mapping[str, Callable[[Array], Array]] = _rearranged()


def order_of_forces(samples: Iterable[tuple[Atoms, Array]]) -> Finding | None:
    """Return an error if forces are in another order than the positions.

    Parameters
    ----------
    samples
        Structures with forces (atoms, 3) in eV/Å.
    """
    chosen = _chosen([(atoms, forces) for atoms, forces in samples if np.any(forces)])
    if len(chosen) < FEWEST:
        return None
    model = PairModel(sorted({int(z) for atoms, _ in chosen for z in atoms.numbers}), CUTOFF)
    right = dict.fromkeys(REARRANGED, 0.0)
    for atoms, forces in chosen:
        design = model.add(atoms, forces).forces / np.sum(forces**2)
        for name, rearrange in REARRANGED.items():
            right[name] = right[name] + design.T @ rearrange(forces).ravel()
    size = len(model.matrix)
    if 3 * sum(len(atoms) for atoms, _ in chosen) < DETERMINED * size:
        return None
    inverse = np.linalg.inv(model.matrix + RIDGE * np.trace(model.matrix) / size * np.eye(size))
    explained = {name: float(b @ inverse @ b) / len(chosen) for name, b in right.items()}
    best = max(explained, key=lambda name: explained[name])
    limit = min(FEWER * explained[best], explained[best] - LESS)
    if explained[best] < EXPLAINED or explained[AS_READ] > limit:
        return None
    return Finding(
        "force-order",
        "error",
        f"the forces look like {best}: pair forces then describe {explained[best]:.0%} of them, "
        f"but only {explained[AS_READ]:.0%} as read ({len(chosen)} structures)",
        "Write the force of each atom, x y z, in the line of its position.",
    )


def _chosen(samples: Sequence[tuple[Atoms, Array]]) -> list[tuple[Atoms, Array]]:
    """Return evenly spaced structures within the limits of the fit."""
    if not samples:
        return []
    rows = np.linspace(0, len(samples) - 1, min(MOST_STRUCTURES, len(samples))).astype(int)
    selected = [samples[i] for i in rows]
    stride = int(np.ceil(sum(len(atoms) for atoms, _ in selected) / MOST_ATOMS))
    return selected[::stride]
