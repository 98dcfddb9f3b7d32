"""Dipoles of similar periodic structures on different branches of the polarization.

The dipole of a periodic cell is defined only up to multiples of the polarization quantum, an
electron charge times a lattice vector. Between similar structures the dipole changes by a small
part of this quantum. If differences are close to its multiples, the labels jump between branches,
which no model can follow. Electrons in pairs have twice this quantum, one of its multiples.

Structures are joined to the most similar one (Prim's minimum spanning tree), by the displacements
of all atoms to the nearest images. Differences of structures that are not similar are spread evenly
between the multiples, so only the shortest connections are judged, as many as have differences that
are small on average when folded to the nearest multiple.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell
from numpy.typing import NDArray

from reann.data.check.finding import MOST_EXAMPLES, Finding
from reann.data.labels.conditions import conditions_of

MOST_STRUCTURES, MOST_NUMBERS = 500, 1_000_000
"""Maximum number of structures kept of the same atoms, and of floats kept: 8 MB."""
FEWEST = 8
"""Minimum number of connections that are judged."""
SMALL = 0.1
"""Root mean square of the folded differences that are judged, in units of the quantum; it is 0.29
if they are spread evenly."""
CLEAR = 0.2
"""Largest folded difference of a jump, in units of the quantum."""
FLAT = 1e-6
"""Å³, smallest volume of a cell."""

Array = NDArray[np.float64]


class _Sample(NamedTuple):
    origin: str
    scaled: Array
    """(atoms, 3), positions in units of the lattice vectors along periodic axes, else Å."""
    cell: Array
    """(3, 3) Å, with unit vectors along axes that are not periodic."""
    dipole: Array
    """(3,), in units of e times the lattice vectors."""


class _Jump(NamedTuple):
    origin: str
    similar: str
    """Origin of the similar structure."""
    quanta: NDArray[np.int64]
    """(3,), number of polarization quanta along each lattice vector."""


class Branches:
    """Collects periodic structures with dipoles, then compares each with the most similar one."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, list[_Sample]] = defaultdict(list)
        self._numbers = 0

    def add(self, atoms: Atoms, origin: str, labels: Mapping[str, Any]) -> None:
        """Keep a periodic structure with a dipole, e Å, unless a limit is reached.

        Structures of the same atoms are compared if charge, field and other conditions agree.
        """
        dipole = labels.get("dipole")
        if dipole is None or not atoms.pbc.any() or self._numbers > MOST_NUMBERS:
            return
        group = self._groups[atoms.numbers.tobytes(), atoms.pbc.tobytes(), conditions_of(atoms)]
        cell = cell_of(atoms)
        if len(group) >= MOST_STRUCTURES or cell is None:
            return
        inverse = np.linalg.inv(cell)
        scaled, reduced = (np.asarray(x @ inverse, float) for x in (atoms.positions, dipole))
        if np.isfinite(scaled).all() and np.isfinite(reduced).all():
            self._numbers += scaled.size
            group.append(_Sample(origin, scaled, cell, reduced))

    def finding(self) -> Finding | None:
        """Report the structures whose dipole is on another branch than that of a similar one."""
        jumps: list[_Jump] = []
        for (_, pbc, _), group in self._groups.items():  # type: ignore[misc]
            if len(group) > FEWEST:
                jumps += _jumps(group, np.frombuffer(pbc, bool))
        if not jumps:
            return None
        return Finding(
            "dipole-branches",
            "warning",
            "dipoles of similar structures differ by about an electron charge times a lattice"
            " vector: they are on different branches of the polarization, which no model can learn",
            BRANCH_ADVICE,
            len(jumps),
            tuple(_described(jump) for jump in jumps[:MOST_EXAMPLES]),
        )


BRANCH_ADVICE = (
    "Add multiples of e times the lattice vectors to the dipoles, so that they change continuously:"
    " along a trajectory, the multiples that are closest to the previous structure; otherwise those"
    " closest to an estimate from charges of whole molecules. In an electric field F, subtract"
    " F · (change of the dipole) from the energies."
)


def cell_of(atoms: Atoms) -> Array | None:
    """Return the cell (3, 3) in Å, with unit vectors normal to it along axes that are not periodic.

    None if lattice vectors along periodic axes are missing, flat or not finite.
    """
    lattice = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    if not np.isfinite(lattice).all():
        return None
    cell = complete_cell(lattice)
    missing = not lattice[atoms.pbc].any(axis=1).all()
    return None if missing or abs(np.linalg.det(cell)) < FLAT else cell


def _jumps(group: Sequence[_Sample], periodic: NDArray[np.bool_]) -> list[_Jump]:
    """Return the structures whose dipole jumps, in the order of the files."""
    parent, distance = _spanning_tree(group, periodic)
    children = np.argsort(distance, kind="stable")[:-1]  # not the root, at an infinite distance
    dipoles = np.array([s.dipole for s in group])
    change = np.where(periodic, dipoles[children] - dipoles[parent[children]], 0.0)
    quanta = np.round(change)
    folded = change - quanta
    mean = np.sqrt(np.cumsum(folded**2, axis=0) / np.arange(1, len(children) + 1)[:, None])
    for axis in np.flatnonzero(periodic):
        similar = np.flatnonzero(mean[:, axis] <= SMALL)
        judged = similar[-1] + 1 if len(similar) else 0
        quanta[0 if judged < FEWEST else judged :, axis] = 0.0
    quanta[np.abs(folded) > CLEAR] = 0.0
    rows = np.flatnonzero(quanta.any(axis=1))
    order = rows[np.argsort(children[rows])]
    return [
        _Jump(group[child].origin, group[int(parent[child])].origin, quanta[k].astype(int))
        for k, child in zip(order, children[order].tolist(), strict=True)
    ]


def _spanning_tree(
    group: Sequence[_Sample], periodic: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Array]:
    """Return the structure that each is joined to, and its distance in Å; infinite for the root."""
    scaled = np.array([s.scaled for s in group])
    cells = np.array([s.cell for s in group])
    parent, distance = np.zeros(len(group), np.int64), np.full(len(group), np.inf)
    outside = np.arange(1, len(group))
    added = 0
    nearest = np.full(len(outside), np.inf)
    while len(outside):
        u = scaled[outside] - scaled[added]
        u -= np.where(periodic, np.round(u), 0.0)
        moved = np.linalg.norm(u @ ((cells[outside] + cells[added]) / 2), axis=(1, 2))
        closer = moved < nearest
        nearest[closer], parent[outside[closer]] = moved[closer], added
        k = int(nearest.argmin())
        added, distance[outside[k]] = int(outside[k]), nearest[k]
        outside, nearest = np.delete(outside, k), np.delete(nearest, k)
    return parent, distance


def _described(jump: _Jump) -> str:
    steps = [f"{n:+d} {axis}" for n, axis in zip(jump.quanta.tolist(), "abc", strict=True) if n]
    return f"{jump.origin} ({', '.join(steps)} from {jump.similar})"
