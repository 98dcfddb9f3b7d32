"""Compare energies with forces and stresses, between structures that are alike.

Between two close structures dE = -F u + V stress : strain, with forces and stresses averaged over
both, the displacements u of the atoms and the strain of the cell (trapezoidal rule, an error of
third order). The factor between both sides shows a wrong sign or unit. Only a limited number of
structures is kept, so the answer may be that nothing could be compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
"""Kept of each composition."""
MOST_NUMBERS = 3_000_000
"""Kept in all: 24 MB."""
MOST_PAIRS = 300
YZ_XZ_XY = ([1, 0, 0], [2, 2, 1])
"""Rows and columns of the shear components."""
OUTLYING = 20.0
"""Energies and works beyond so many times their median belong to single wrong structures."""
CLOSE = 0.25
"""Å, root mean square displacement of a pair."""
LEAST_MOVE, LEAST_STRAIN, LARGEST_STRAIN = 1e-4, 1e-4, 0.15
"""Å, the displacement from which forces do work; the strain at which stresses do."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A structure that is kept for comparison."""

    positions: Array
    cell: Array
    energy: float
    forces: Array | None
    stress: Array | None


@dataclass(frozen=True)
class Pairs:
    """Pairs of structures of the same atoms that are close to each other, each (pairs,)."""

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
    """(pairs, 3, 3) work of each of the strains yz, xz and xy with each of these stresses, eV."""

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """Return the `MOST_PAIRS` closest of some pairs, without those of single wrong labels."""
        chosen = np.flatnonzero(mask)
        for values in (self.change, self.work, self.elastic):
            size = np.abs(np.nan_to_num(values[chosen]))
            typical = np.median(size) if len(size) else 0.0
            if typical > 0.0:
                chosen = chosen[size <= OUTLYING * typical]
        return self.some(chosen[np.argsort(self.moved[chosen], kind="stable")[:MOST_PAIRS]])

    def some(self, chosen: NDArray[Any]) -> Pairs:
        """Return the pairs that a mask or indices choose."""
        return Pairs(*(getattr(self, f.name)[chosen] for f in fields(self)))


class Work:
    """Collects structures, then compares energies with forces and stresses."""

    def __init__(self, most: int = MOST_STRUCTURES) -> None:
        """Keep at most so many structures of each composition."""
        self._most = most
        self._kept: dict[tuple[bytes, bytes], list[Sample]] = defaultdict(list)
        self._numbers = 0

    def add(self, atoms: Atoms, labels: Mapping[str, Any]) -> None:
        """Keep a structure with an energy while there is room."""
        energy, forces, stress = (labels.get(k) for k in ("energy", "forces", "stress"))
        if energy is None or (forces is None and stress is None) or not len(atoms):
            return
        key = (atoms.numbers.astype("<i4").tobytes(), np.asarray(atoms.pbc).tobytes())
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
        """Compare energies with forces, first in equal cells, else also in strained ones."""
        every = self._pairs
        known = np.isfinite(every.work) & (every.moved > LEAST_MOVE)
        equal = known & (every.strain < LEAST_STRAIN)
        enough = equal.sum() >= FEWEST_PAIRS
        pairs = every.where(equal if enough else known & np.isfinite(every.elastic))
        if not len(pairs.work):
            return None
        elastic = np.zeros_like(pairs.work) if enough else pairs.elastic
        factors = FORCE_FACTORS | per_atom(pairs.work, pairs.n_atoms)
        return verdict(
            "forces", without(pairs.change, elastic), without(pairs.work, elastic), factors
        )

    def stress(self) -> Finding | None:
        """Compare energies with stresses where cells differ by a small strain.

        The atoms may move beside the strain: the part of the energy that is proportional to the
        work of the forces is left out.
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
        """Judge order and size of the shear components, where cells differ by a small strain."""
        pairs = self._strained
        if not len(pairs.elastic):
            return None
        diagonal = pairs.elastic - np.trace(pairs.shear, axis1=1, axis2=2)
        return by_work(pairs.change - np.nan_to_num(pairs.work) - diagonal, pairs.shear)

    def with_forces(self) -> Iterator[tuple[Atoms, Array]]:
        """Yield the structures that are kept and have forces."""
        for (numbers, pbc), kept in self._kept.items():
            elements, periodic = np.frombuffer(numbers, "<i4"), np.frombuffer(pbc, bool)
            for s in kept:
                if s.forces is not None:
                    cell = s.cell if periodic.all() else None
                    yield Atoms(elements, s.positions, cell=cell, pbc=periodic.all()), s.forces

    def has(self, label: str) -> bool:
        """Whether any structure that is kept has forces or a stress."""
        return any(getattr(s, label) is not None for kept in self._kept.values() for s in kept)

    @cached_property
    def _strained(self) -> Pairs:
        """Pairs whose cells differ by a small strain, and whose work is known."""
        every = self._pairs
        strained = (every.strain > LEAST_STRAIN) & (every.strain < LARGEST_STRAIN)
        comparable = np.isfinite(every.work) | (every.moved < LEAST_MOVE)
        return every.where(strained & comparable & np.isfinite(every.elastic))

    @cached_property
    def _pairs(self) -> Pairs:
        found = [Pairs(*[np.zeros(0)] * (len(fields(Pairs)) - 1), shear=np.zeros((0, 3, 3)))]
        for (_, pbc), kept in self._kept.items():
            if len(kept) > 1:
                found += _close_pairs(kept, periodic=all(np.frombuffer(pbc, bool)))
        names = [f.name for f in fields(Pairs)]
        return Pairs(*(np.concatenate([getattr(p, name) for p in found]) for name in names))


def _close_pairs(kept: Sequence[Sample], *, periodic: bool) -> Iterator[Pairs]:
    """Yield the close pairs of each structure and those after it."""
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
        yield pairs.some(size < CLOSE)
