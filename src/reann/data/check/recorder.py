"""Records of structures: their measures, and values that many of them share."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.units import Bohr
from numpy.typing import NDArray

from reann.data.check.axes import axes_without_forces
from reann.data.check.bonds import Bonds
from reann.data.check.measures import (
    fills_lattice,
    fills_smaller_lattice,
    is_coarse,
    last_digit,
    relative_torque,
    shape_of,
)
from reann.data.check.projections import project
from reann.data.check.record import Key, Record
from reann.data.labels.conditions import conditions_of
from reann.data.labels.keys import names_of
from reann.data.labels.weights import without_weight
from reann.errors import UserError
from reann.quantities import BORN, label_names

T = TypeVar("T", bound=Hashable)
Array = NDArray[np.float64]
NeighborList = Callable[..., tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]

BUILT_IN_ARRAYS = ("numbers", "positions")
BINDS = ~np.isin(np.arange(len(covalent_radii)), (2, 10, 18, 36, 54, 86))
"""Whether an element forms bonds, by atomic number: noble gases do not."""


class Recorder:
    """Makes records that share equal values."""

    def __init__(self, neighbor_list: NeighborList, cutoff: float) -> None:
        self._neighbor_list, self._cutoff = neighbor_list, cutoff
        self._known: dict[Hashable, Any] = {}
        self._atoms: dict[bytes, tuple[tuple[tuple[int, int], ...], int]] = {}
        self.bonds = Bonds()

    def __call__(self, atoms: Atoms, origin: str, labels: Mapping[str, Any]) -> Record:
        """Return the record of a structure and its labels (eV, Å)."""
        numbers, positions = atoms.numbers, atoms.positions
        cell, pbc = np.asarray(atoms.cell), np.asarray(atoms.pbc, bool)
        missing = bool((pbc & (np.linalg.norm(cell, axis=1) < 1e-8)).any())
        keys, not_finite = _keys(atoms)
        names = [key.name for key in keys]
        present = {k: np.asarray(v, float) for k, v in labels.items() if k in label_names()}
        not_finite += tuple(
            k for k, v in present.items() if not np.isfinite(v).all() and k not in not_finite
        )
        composition, order = self._atoms_of(numbers, pbc)
        full = bool(pbc.all()) and not missing
        record = Record(
            origin=origin,
            file=self._shared(origin.rpartition("#")[0]),
            n_atoms=len(atoms),
            composition=composition,
            order=order,
            pbc=self._shared((bool(pbc[0]), bool(pbc[1]), bool(pbc[2]))),
            keys=self._shared(keys),
            labels=self._shared(tuple(present)),
            left_out=self._shared(tuple(sorted(without_weight(atoms.info)))),
            not_finite=self._shared(not_finite),
            cell_missing=missing,
            projections=project(positions[None], cell[None])[0],
            nearest_ratio=np.nan,
            closest=(np.inf, np.inf, -1, -1),
            without_neighbors=(),
            n_without_neighbors=0,
            volume=abs(float(np.linalg.det(cell))) if full else 0.0,
            unused_stress=not full and any(names_of(x, names) for x in ("stress", "virial")),
            conditions=self._shared(conditions_of(atoms)),
        )
        if np.isfinite(positions).all() and np.isfinite(cell).all() and not missing:
            try:
                self._measure_distances(record, atoms, present.get("forces"))
            except UserError:  # the cell is flat
                record.cell_missing = True
        measure_arrays(record, positions, cell, present.get("forces"))
        self._measure_labels(record, present, atoms)
        return record

    def _shared(self, value: T) -> T:
        return self._known.setdefault(value, value)

    def _atoms_of(
        self, numbers: NDArray[Any], pbc: NDArray[np.bool_]
    ) -> tuple[tuple[tuple[int, int], ...], int]:
        """Return composition and order of the atoms."""
        content = numbers.astype("<i4").tobytes() + pbc.tobytes()
        if content not in self._atoms:
            elements, counts = np.unique(numbers, return_counts=True)
            pairs = tuple(zip(elements.tolist(), counts.tolist(), strict=True))
            self._atoms[content] = self._shared(pairs), zlib.crc32(content)
        return self._atoms[content]

    def _measure_distances(self, record: Record, atoms: Atoms, forces: Array | None) -> None:
        numbers, positions, cell = atoms.numbers, atoms.positions, np.asarray(atoms.cell)
        radii = covalent_radii[numbers]
        # wide enough to notice lengths in Bohr that were read as Å
        reach = max(self._cutoff, 5.0 * float(radii.max(initial=0.0)))
        center, neighbor, shift = self._neighbor_list(
            positions, cell, np.asarray(atoms.pbc, bool), reach
        )
        center, neighbor = center.astype(np.int64), neighbor.astype(np.int64)
        vector = positions[neighbor] - positions[center] + np.asarray(shift, float) @ cell
        distance = np.linalg.norm(vector, axis=1)
        measure_distances(record, numbers, center, neighbor, distance)
        if len(numbers) > 1:
            within = center[distance <= self._cutoff]
            alone = np.flatnonzero(np.bincount(within, minlength=len(numbers)) == 0)
            record.without_neighbors = tuple(alone[:3].tolist())
            record.n_without_neighbors = len(alone)
        self.bonds.add(numbers, forces, center, neighbor, vector, origin=record.origin)
        if forces is not None and len(forces) == len(numbers):
            record.axes_without_forces = axes_without_forces(forces, center, vector)

    def _measure_labels(self, record: Record, labels: Mapping[str, Array], atoms: Atoms) -> None:
        energy, forces, stress = (labels.get(k) for k in ("energy", "forces", "stress"))
        if energy is not None and np.isfinite(energy).all():
            record.energy = float(energy)
        dipole = labels.get("dipole")
        if dipole is not None and dipole.shape == (3,) and np.isfinite(dipole).all():
            record.dipole = tuple(dipole.tolist())
        born = labels.get(BORN)
        if born is not None and np.isfinite(born).all():
            record.sum_of_born_charges = tuple(born.sum(axis=0).ravel().tolist())
        if stress is not None and np.isfinite(stress).all():
            record.stress_max = float(np.abs(stress).max())
            record.pressure = -float(np.trace(stress)) / 3
        results = atoms.calc.results if atoms.calc is not None else {}
        both = [results.get("free_energy"), results.get("energy")]
        if all(isinstance(x, (int, float, np.number)) for x in both) and len(atoms):
            record.free_energy_gap = float(both[0] - both[1]) / len(atoms)  # type: ignore[operator]
        if forces is None or not len(forces) or not np.isfinite(forces).all():
            return
        size = np.linalg.norm(forces, axis=1)
        record.force_rms = float(np.sqrt(np.mean(size**2)))
        record.force_max_atom = int(size.argmax())
        record.force_max = float(size.max())
        record.net_force = float(np.linalg.norm(forces.sum(axis=0)))
        record.zero_forces = self._shared(np.packbits(size == 0.0).tobytes())
        if record.force_max == 0.0:
            scaled = atoms.get_scaled_positions(wrap=False) if record.volume else atoms.positions
            record.zero_geometry = project(scaled[None], np.zeros((1, 3, 3)))[0]
        else:
            record.force_projections = project(forces[None], np.zeros((1, 3, 3)))[0]


def measure_arrays(record: Record, positions: Array, cell: Array, forces: Array | None) -> None:
    """Fill in the fields that depend on positions and forces but not on neighbors."""
    if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
        return  # reported by another check
    record.coarse = is_coarse(positions)
    if record.volume:
        record.cell_in_bohr = fills_smaller_lattice(positions, cell, Bohr)
    if forces is not None:
        record.force_digit = last_digit(forces)
    if not any(record.pbc):
        record.filled_lattice = fills_lattice(positions, cell)
        if forces is not None and len(forces) == len(positions) and np.isfinite(forces).all():
            record.torque = relative_torque(positions, forces)


def measure_distances(
    record: Record,
    numbers: NDArray[Any],
    center: NDArray[np.int64],
    neighbor: NDArray[np.int64],
    distance: Array,
) -> None:
    """Fill in the distances of a record from those of neighbor pairs (pairs,), Å."""
    if not len(distance):
        return
    radii = covalent_radii[numbers]
    ratio = distance / (radii[center] + radii[neighbor])
    best = np.full(len(numbers), np.inf)
    np.minimum.at(best, center, ratio)
    bonded = np.sort(best[np.isfinite(best) & BINDS[numbers]])
    if len(bonded):  # the median; np.median is much slower
        middle = len(bonded) // 2
        record.nearest_ratio = float(bonded[[middle - 1 + len(bonded) % 2, middle]].mean())
    e = int(ratio.argmin()) if distance.min() > 0 else int(distance.argmin())
    pair = sorted((int(center[e]), int(neighbor[e])))
    record.closest = (float(distance[e]), float(ratio[e]), pair[0], pair[1])


def _keys(atoms: Atoms) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """Return all keys with their shapes, and the names of values that are not finite."""
    results = atoms.calc.results if atoms.calc is not None else {}
    sources = {"info": atoms.info, "arrays": atoms.arrays, "results": results}
    keys: list[Key] = []
    bad: list[str] = []
    for place, values in sources.items():
        for name, value in values.items():
            array = np.asarray(value)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad.append(name)
            if place == "arrays" and name in BUILT_IN_ARRAYS:
                continue
            keys.append(Key(place, name, shape_of(array, len(atoms), place)))
    if not np.isfinite(np.asarray(atoms.cell)).all():
        bad.append("cell")
    return tuple(keys), tuple(dict.fromkeys(bad))
