"""Compare energies with forces and stresses between similar structures.

For two close structures, dE = -F u + V stress : strain, where F and stress are averages over both
structures, u are the displacements of the atoms and strain is that of the cell (trapezoidal rule,
third-order error). The ratio of both sides reveals a wrong sign or unit. Only a limited number of
structures is kept, so it is possible that no pairs can be compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from reann.data.check.components import by_work
from reann.data.check.factors import (
    FEWEST_PAIRS,
    FORCE_FACTORS,
    STRESS_FACTORS,
    Array,
    per_atom,
    verdict,
    without,
    wrong_kinds,
)
from reann.data.check.finding import Finding

MOST_STRUCTURES = 200
"""Maximum number of structures kept for each composition."""
MOST_NUMBERS = 3_000_000
"""Maximum number of floats kept: 24 MB."""
MOST_PAIRS = 300
YZ_XZ_XY = ([1, 0, 0], [2, 2, 1])
"""Rows and columns of the shear components."""
OUTLYING = 20.0
"""Energies and works larger than this many times their median are those of wrong structures."""
CLOSE = 0.25
"""Å, root mean square displacement of a pair."""
LEAST_MOVE, LEAST_STRAIN, LARGEST_STRAIN = 1e-4, 1e-4, 0.15
"""Smallest displacement, Å, and range of strains for which work is computed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A structure kept for comparison."""

    positions: Array
    cell: Array
    energy: float
    forces: Array | None
    stress: Array | None


@dataclass(frozen=True)
class Pairs:
    """Pairs of close structures of the same atoms; all arrays are (pairs,)."""

    moved: Array
    """Root mean square displacement, Å."""
    strain: Array
    """Largest component."""
    change: Array
    """dE, eV."""
    work: Array
    """-F u, eV; NaN without forces."""
    elastic: Array
    """V stress : strain, eV; NaN without stresses."""
    n_atoms: Array
    volume: Array
    """Å^3."""
    shear: Array
    """(pairs, 3, 3) work of each strain yz, xz, xy with each of these stresses, eV."""

    def closest(self, mask: NDArray[np.bool_]) -> Pairs:
        """Return the `MOST_PAIRS` closest pairs in a mask, without those with outlying labels."""
        chosen = np.flatnonzero(mask)
        for values in (self.change, self.work, self.elastic):
            size = np.abs(np.nan_to_num(values[chosen]))
            typical = np.median(size) if len(size) else 0.0
            if typical > 0.0:
                chosen = chosen[size <= OUTLYING * typical]
        return self.select(chosen[np.argsort(self.moved[chosen], kind="stable")[:MOST_PAIRS]])

    def select(self, chosen: NDArray[Any]) -> Pairs:
        """Return the pairs selected by a mask or indices."""
        return Pairs(*(getattr(self, f.name)[chosen] for f in fields(self)))


class Work:
    """Collects structures, then compares energies with forces and stresses."""

    def __init__(self, most: int = MOST_STRUCTURES) -> None:
        """Keep at most `most` structures of each composition."""
        self._most = most
        self._kept: dict[tuple[bytes, bytes, Hashable], list[Sample]] = defaultdict(list)
        self._numbers = 0

    def add(self, atoms: Atoms, labels: Mapping[str, Any], inputs: Hashable = ()) -> None:
        """Keep a structure with an energy unless a limit is reached.

        Structures of the same atoms are compared if their inputs, the total charge and spin, agree.
        """
        energy, forces, stress = (labels.get(k) for k in ("energy", "forces", "stress"))
        if energy is None or (forces is None and stress is None) or not len(atoms):
            return
        key = (atoms.numbers.astype("<i4").tobytes(), np.asarray(atoms.pbc).tobytes(), inputs)
        if len(self._kept[key]) >= self._most or self._numbers > MOST_NUMBERS:
            return
        periodic = bool(np.all(atoms.pbc))
        cell = np.array(atoms.cell) if periodic else np.eye(3)
        values = [atoms.positions, cell, energy, *(x for x in (forces, stress) if x is not None)]
        if not all(np.isfinite(x).all() for x in values) or abs(np.linalg.det(cell)) < 1e-8:
            return
        self._numbers += 6 * len(atoms)
        self._kept[key].append(
            Sample(
                atoms.positions.copy(),
                cell,
                float(energy),
                None if forces is None else np.array(forces, float),
                np.array(stress, float).reshape(3, 3)
                if stress is not None and periodic and np.size(stress) == 9
                else None,
            )
        )

    def forces(self) -> Finding | None:
        """Compare energies with forces in equal cells or, if too few, also in strained cells."""
        pairs = self._pairs
        known = np.isfinite(pairs.work) & (pairs.moved > LEAST_MOVE)
        equal = known & (pairs.strain < LEAST_STRAIN)
        suffices = equal.sum() >= FEWEST_PAIRS
        pairs = pairs.closest(equal if suffices else known & np.isfinite(pairs.elastic))
        if not len(pairs.work):
            return None
        elastic = np.zeros_like(pairs.work) if suffices else pairs.elastic
        factors = FORCE_FACTORS | per_atom(pairs.work, pairs.n_atoms)
        return verdict(
            "forces", without(pairs.change, elastic), without(pairs.work, elastic), factors
        )

    def stress(self) -> Finding | None:
        """Compare energies with stresses of cells that differ by a small strain.

        The atoms may also be displaced: the part of the energy that is proportional to the work
        of the forces is subtracted.
        """
        pairs = self._strained
        if not len(pairs.elastic):
            return None
        work = np.nan_to_num(pairs.work)
        factors = STRESS_FACTORS | wrong_kinds(pairs.elastic, pairs.n_atoms, pairs.volume)
        return verdict(
            "stresses", without(pairs.change, work), without(pairs.elastic, work), factors
        )

    def shear(self) -> Finding | None:
        """Check order and size of the shear components of cells that differ by a small strain."""
        pairs = self._strained
        if not len(pairs.elastic):
            return None
        diagonal = pairs.elastic - np.trace(pairs.shear, axis1=1, axis2=2)
        return by_work(pairs.change - np.nan_to_num(pairs.work) - diagonal, pairs.shear)

    def with_forces(self) -> Iterator[tuple[Atoms, Array]]:
        """Yield the kept structures that have forces."""
        for (numbers, pbc, _), kept in self._kept.items():
            elements, periodic = np.frombuffer(numbers, "<i4"), np.frombuffer(pbc, bool)
            for s in kept:
                if s.forces is not None:
                    cell = s.cell if periodic.all() else None
                    yield Atoms(elements, s.positions, cell=cell, pbc=periodic.all()), s.forces

    def has(self, label: str) -> bool:
        """Whether any kept structure has a label, `forces` or `stress`."""
        return any(getattr(s, label) is not None for kept in self._kept.values() for s in kept)

    @cached_property
    def _strained(self) -> Pairs:
        """Pairs whose cells differ by a small strain and whose work is known."""
        pairs = self._pairs
        strained = (pairs.strain > LEAST_STRAIN) & (pairs.strain < LARGEST_STRAIN)
        comparable = np.isfinite(pairs.work) | (pairs.moved < LEAST_MOVE)
        return pairs.closest(strained & comparable & np.isfinite(pairs.elastic))

    @cached_property
    def _pairs(self) -> Pairs:
        parts = [Pairs(*[np.zeros(0)] * (len(fields(Pairs)) - 1), shear=np.zeros((0, 3, 3)))]
        for (_, pbc, _), kept in self._kept.items():
            if len(kept) > 1:
                parts += _close_pairs(kept, periodic=all(np.frombuffer(pbc, bool)))
        names = [f.name for f in fields(Pairs)]
        return Pairs(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _close_pairs(kept: Sequence[Sample], *, periodic: bool) -> Iterator[Pairs]:
    """Yield the close pairs of each structure with the structures after it."""
    cells = np.array([s.cell for s in kept])
    scaled = np.array([s.positions @ np.linalg.inv(s.cell) for s in kept])
    energies = np.array([s.energy for s in kept])
    no_forces, no_stress = np.full_like(scaled[0], np.nan), np.full((3, 3), np.nan)
    forces = np.array([no_forces if s.forces is None else s.forces for s in kept])
    stresses = np.array([no_stress if s.stress is None else s.stress for s in kept])
    least = np.abs(np.linalg.det(cells)).min() / 2
    for i in range(len(kept) - 1):
        step = scaled[i + 1 :] - scaled[i]
        if periodic:
            step -= np.round(step)
        rough = np.sqrt(np.mean((step @ cells[i]) ** 2, axis=(1, 2)) * 3)
        near = np.flatnonzero(rough < 2 * CLOSE)
        # the mean of a cell and its mirror image has no volume
        near = near[np.abs(np.linalg.det((cells[i] + cells[near + i + 1]) / 2)) > least]
        j, step = near + i + 1, step[near]
        cell = (cells[i] + cells[j]) / 2
        moved = step @ cell
        size = np.sqrt(np.mean(moved**2, axis=(1, 2)) * 3)
        strain = np.linalg.solve(cell, cells[j] - cells[i])
        volume = np.abs(np.linalg.det(cell))
        stress = (stresses[i] + stresses[j]) / 2 * volume[:, None, None]
        shears = (strain + strain.transpose(0, 2, 1))[:, YZ_XZ_XY[0], YZ_XZ_XY[1]]
        pairs = Pairs(
            moved=size,
            strain=np.abs(strain).max(axis=(1, 2)),
            change=energies[j] - energies[i],
            work=-np.einsum("pax,pax->p", (forces[i] + forces[j]) / 2, moved),
            elastic=np.einsum("pxy,pxy->p", stress, strain),
            n_atoms=np.full(len(j), float(scaled.shape[1])),
            volume=volume,
            shear=shears[:, :, None] * stress[:, YZ_XZ_XY[0], YZ_XZ_XY[1]][:, None, :],
        )
        yield pairs.select(size < CLOSE)
