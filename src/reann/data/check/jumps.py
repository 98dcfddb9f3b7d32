"""Energies of another electronic state: jumps between close structures that forces do not explain.

Along a straight line between two structures dE = -F u, with the mean of both forces and the
displacements u, up to a third-order error. On one smooth surface this error is much smaller than
|dF . u|. A calculation that converged to an excited state lies above this surface, and so do its
energies relative to all of its neighbors, by the same amount.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from reann.data.check.finding import MOST_EXAMPLES, Finding
from reann.data.check.outliers import apart

MOST_STRUCTURES, MOST_NUMBERS = 2000, 3_000_000
"""Maximum number of structures kept of the same atoms, and of floats kept: 24 MB."""
NEIGHBORS, FEWEST_NEIGHBORS = 6, 3
"""Number of closest structures that each is compared with, and how many it needs."""
CLOSE = 0.5
"""Å, norm of the displacements of all atoms."""
LEAST_JUMP, TYPICAL = 0.1, 20.0
"""eV; and how many times larger than the median of all structures a jump is."""

Array = NDArray[np.float64]


class _Sample(NamedTuple):
    origin: str
    positions: Array
    cell: Array
    energy: float
    forces: Array


class Jumps:
    """Collects structures with energies and forces, then compares each with those close to it."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, list[_Sample]] = defaultdict(list)
        self._numbers = 0

    def add(
        self, atoms: Atoms, origin: str, labels: Mapping[str, Any], inputs: Hashable = ()
    ) -> None:
        """Keep a structure with an energy and forces unless a limit is reached.

        Structures of the same atoms in the same cell are compared if their inputs, such as the
        total charge, agree.
        """
        energy, forces = labels.get("energy"), labels.get("forces")
        if energy is None or forces is None or len(atoms) < 2:
            return
        cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
        key = atoms.numbers.tobytes(), np.round(cell, 6).tobytes(), inputs
        group = self._groups[key]
        if len(group) >= MOST_STRUCTURES or self._numbers > MOST_NUMBERS:
            return
        values = (atoms.positions, cell, energy, forces)
        if all(np.isfinite(x).all() for x in values):
            self._numbers += 6 * len(atoms)
            forces = np.array(forces, float)
            group.append(_Sample(origin, atoms.positions.copy(), cell, float(energy), forces))

    def largest(self) -> list[tuple[str, float]]:
        """Return the structures whose energies jump, and how far in eV, the largest first."""
        origins, jumps = [], [np.zeros(0)]
        for group in self._groups.values():
            if len(group) > NEIGHBORS:
                above = _jumps(group, np.zeros(len(group), bool))
                # A structure among those that jump seems to jump, too.
                suspect = np.abs(above) > LEAST_JUMP
                above[suspect] = _jumps(group, suspect)[suspect]
                known = np.isfinite(above)
                origins += [s.origin for s, k in zip(group, known, strict=True) if k]
                jumps.append(above[known])
        if not origins:
            return []
        of_all = np.concatenate(jumps)
        limit = max(LEAST_JUMP, TYPICAL * float(np.median(np.abs(of_all))))
        bad = apart(np.abs(of_all), np.full(len(of_all), limit))
        return [(origins[i], float(of_all[i])) for i in bad]

    def finding(self) -> Finding | None:
        """Report the structures whose energies jump."""
        if not (jumps := self.largest()):
            return None
        return Finding(
            "energy-jumps",
            "warning",
            f"energies differ by up to {abs(jumps[0][1]):.3g} eV from what close structures and"
            " forces give: these calculations may have converged to another electronic state",
            "Repeat these calculations from another start, or remove the structures: no potential "
            "reproduces them, and they determine the error of the energy.",
            len(jumps),
            tuple(f"{origin} ({jump:+.3f} eV)" for origin, jump in jumps[:MOST_EXAMPLES]),
        )


def _jumps(group: list[_Sample], left_out: NDArray[np.bool_]) -> Array:
    """Return how far each energy lies above those of its neighbors, eV; NaN with too few.

    Structures that are left out are not neighbors of others.
    """
    positions, forces = (np.array([getattr(s, n) for s in group]) for n in ("positions", "forces"))
    energies, cell = np.array([s.energy for s in group]), group[0].cell
    periodic = cell.any(axis=1)
    inverse = np.linalg.pinv(cell)
    above = np.full(len(group), np.nan)
    for i in range(len(group)):
        u = positions - positions[i]
        if periodic.any():
            u = u - np.round(u @ inverse) @ cell
        moved = np.linalg.norm(u, axis=(1, 2))
        moved[left_out] = moved[i] = np.inf
        near = np.argsort(moved, kind="stable")[:NEIGHBORS]
        near = near[moved[near] < CLOSE]
        if len(near) < FEWEST_NEIGHBORS:
            continue
        work = -np.einsum("pax,pax->p", (forces[near] + forces[i]) / 2, u[near])
        residual = work - (energies[near] - energies[i])
        change = np.linalg.norm(forces[near] - forces[i], axis=(1, 2))
        explained = np.abs(residual) <= change * moved[near]
        above[i] = np.median(np.where(explained, 0.0, residual))
    return above
