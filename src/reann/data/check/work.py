"""Compare energies with forces and stresses, between structures that are alike.

Between two close structures dE = -F u + V stress : strain, with forces and stresses averaged over
both, the displacements u of the atoms and the strain of the cell (trapezoidal rule, an error of
third order). The factor between both sides shows a wrong sign or unit. Only a limited number of
structures is kept, so the answer may be that nothing could be compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms

from reann import units
from reann.data.check.finding import Finding
from reann.data.check.record import Array

MOST_STRUCTURES = 200
"""Kept of each composition."""
MOST_NUMBERS = 3_000_000
"""Kept in all: 24 MB."""
MOST_PAIRS = 300
CLOSE = 0.25
"""Å, root mean square displacement of a pair."""
ALIGNED = 0.9
"""Least correlation at which a factor means something."""
FORCE_FACTORS = {
    -1.0: "they have the opposite sign: they are gradients",
    units.force("Ha/Bohr"): "they look like Hartree/Bohr beside energies in eV",
    1 / units.LENGTH["Bohr"]: "they look like energies per Bohr beside positions in Å",
    units.force("kcal/mol/Ang"): "they look like kcal/mol/Å beside energies in eV",
    1 / units.energy("kcal/mol"): "the energies look like kcal/mol beside forces in eV/Å",
    1 / units.energy("Ha"): "the energies look like Hartree beside forces in eV/Å",
    units.energy("Ha"): "they look like Hartree/Å beside energies in eV",
    1e-3: "they look like meV/Å beside energies in eV",
}
"""What forces must be multiplied by to agree with the energies, and what that means."""
STRESS_FACTORS = {
    -1.0: "they have the opposite sign",
    units.stress("GPa"): "they look like GPa",
    -units.stress("GPa"): "they look like GPa, positive in compression",
    units.stress("kbar"): "they look like kbar",
    -units.stress("kbar"): "they look like kbar, positive in compression (as VASP writes it)",
    units.stress("bar"): "they look like bar",
    units.stress("Ha/Bohr^3"): "they look like Hartree/Bohr^3",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A structure that is kept for comparison."""

    positions: Array
    cell: Array
    energy: float
    forces: Array | None
    stress: Array | None


class Work:
    """Collects structures, then compares energies with forces and stresses."""

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes, bytes], list[Sample]] = defaultdict(list)
        self._numbers = 0

    def add(self, atoms: Atoms, labels: Mapping[str, Any]) -> None:
        """Keep a structure with an energy while there is room."""
        energy, forces, stress = (labels.get(k) for k in ("energy", "forces", "stress"))
        if energy is None or (forces is None and stress is None) or not len(atoms):
            return
        key = (atoms.numbers.astype("<i4").tobytes(), np.asarray(atoms.pbc).tobytes())
        if len(self._kept[key]) >= MOST_STRUCTURES or self._numbers > MOST_NUMBERS:
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
        """Compare energies with forces, in equal cells."""
        rows = [p[:3] for p in self._pairs if p[3] < 1e-6 and 1e-4 < p[0] < CLOSE]
        rows = sorted(rows)[:MOST_PAIRS]
        change, work = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
        return _verdict("forces", change, work, FORCE_FACTORS, len(rows))

    def stress(self) -> Finding | None:
        """Compare energies with stresses, where cells differ by a small strain."""
        rows = [p for p in self._pairs if 1e-4 < p[3] < 0.1 and p[0] < 0.1 and p[4] is not None]
        rows = sorted(rows, key=lambda p: p[0])[:MOST_PAIRS]
        change = np.array([p[1] - p[2] for p in rows])
        work = np.array([p[4] for p in rows], float)
        found = _verdict("stresses", change, work, STRESS_FACTORS, len(rows))
        if found is None and any(
            s.stress is not None for kept in self._kept.values() for s in kept
        ):
            return Finding(
                "stresses-not-checkable",
                "note",
                "sign and unit of the stresses are not checkable: no pairs of structures that "
                "differ by a small strain alone",
                "Compare by hand: in a compressed crystal the diagonal is negative.",
            )
        return found

    @cached_property
    def _pairs(self) -> list[tuple[float, float, float, float, float | None]]:
        """Return displacement, dE, -F u, largest strain and V stress : strain of close pairs."""
        found: list[tuple[float, float, float, float, float | None]] = []
        for (_, pbc), kept in self._kept.items():
            periodic = all(np.frombuffer(pbc, bool))
            scaled = np.array([s.positions @ np.linalg.inv(s.cell) for s in kept])
            for i, a in enumerate(kept):
                step = scaled[i + 1 :] - scaled[i]
                if periodic:
                    step -= np.round(step)
                far = np.sqrt(np.mean((step @ a.cell) ** 2, axis=(1, 2)) * 3) > 2 * CLOSE
                for j in np.flatnonzero(~far):
                    pair = _compare(a, kept[i + 1 + j], step[j])
                    if pair[0] < CLOSE:
                        found.append(pair)
        return found


def _compare(a: Sample, b: Sample, step: Array) -> tuple[float, float, float, float, float | None]:
    cell = (a.cell + b.cell) / 2
    moved = step @ cell
    strain = np.linalg.solve(cell, b.cell - a.cell)
    size = float(np.sqrt(np.mean(moved**2) * 3))
    if size >= CLOSE:
        return size, 0.0, 0.0, 0.0, None
    work, elastic = 0.0, None
    if a.forces is not None and b.forces is not None:
        work = -float(np.sum((a.forces + b.forces) / 2 * moved))
    if a.stress is not None and b.stress is not None:
        volume = abs(float(np.linalg.det(cell)))
        elastic = volume * float(np.sum((a.stress + b.stress) / 2 * strain))
    return size, b.energy - a.energy, work, float(np.abs(strain).max()), elastic


def _verdict(
    label: str, change: Array, work: Array, factors: Mapping[float, str], count: int
) -> Finding | None:
    """Judge the factor between changes of energy and work; nothing when both agree."""
    if count < 5 or np.std(work) == 0.0 or np.std(change) == 0.0:
        return None
    aligned = float(np.sum(change * work) / np.sqrt(np.sum(change**2) * np.sum(work**2)))
    if abs(aligned) < ALIGNED:
        return None
    factor = float(np.sum(change * work) / np.sum(work**2))
    if abs(factor - 1.0) < 0.2:
        return Finding(
            f"{label}-agree",
            "note",
            f"the {label} have the sign and the size that the energies say "
            f"(factor {factor:.2f} over {count} pairs of close structures)",
            "Nothing to do.",
        )
    close = [words for known, words in factors.items() if abs(factor / known - 1.0) < 0.2]
    option = label.replace("stresses", "stress")
    words = close[0] if close else "sign, unit or the choice of the key is wrong"
    return Finding(
        f"{label}-disagree",
        "error" if abs(aligned) > 0.97 else "warning",
        f"energies change by {factor:.4g} times what the {label} say ({count} pairs of close "
        f"structures): {words}",
        "Set `data: {units: ...}` or choose another key; turn a wrong sign in the file. On the "
        f"command line: --unit {option}=UNIT, --key {option}=KEY.",
    )
