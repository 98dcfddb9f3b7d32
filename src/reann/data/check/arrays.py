"""Records of structures from the arrays of a data set."""

from __future__ import annotations

import zlib
from collections import defaultdict
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.data.check.axes import axes_without_forces
from reann.data.check.bonds import Bonds
from reann.data.check.projections import project
from reann.data.check.record import Record
from reann.data.check.recorder import measure_arrays, measure_distances
from reann.data.dataset import Dataset
from reann.data.labels.inputs import State, state_of
from reann.quantities import inputs

Array = NDArray[np.float64]

CHUNK = 500
"""Structures in memory at once."""
NOT_MEASURED = (np.inf, np.inf, -1, -1)


def records_of(dataset: Dataset, indices: NDArray[np.int64]) -> list[Record]:
    """Return the records of some structures; their distances are not measured yet."""
    compositions = dataset.composition()[indices]
    records: list[Record] = []
    for start in range(0, len(indices), CHUNK):
        part = slice(start, start + CHUNK)
        records += _chunk(dataset, indices[part], compositions[part])
    return records


def largest_forces(dataset: Dataset) -> Array:
    """Return the largest |F| of each structure, eV/Å; zero without forces."""
    largest = np.zeros(len(dataset))
    if dataset.has("forces"):
        for start in range(0, len(dataset), CHUNK):
            part = np.arange(start, min(start + CHUNK, len(dataset)))
            size = np.linalg.norm(np.nan_to_num(dataset.rows("forces", part)), axis=1)
            sizes = dataset.n_atoms[part]
            largest[part] = np.maximum.reduceat(size, np.cumsum(sizes) - sizes)
    return largest


def measure(dataset: Dataset, index: int, record: Record, bonds: Bonds) -> None:
    """Measure distances in a structure, using the neighbor list of the data set."""
    graph = dataset.graph([index])
    numbers, positions = graph.atomic_numbers.numpy(), graph.positions.numpy()
    center, neighbor = graph.edge_index.numpy()
    shift = graph.edge_shift.numpy() @ graph.cell[0].numpy()
    vector = positions[neighbor] - positions[center] + shift
    distance = np.linalg.norm(vector, axis=1)
    measure_distances(record, numbers, center, neighbor, distance)
    forces = graph.labels["forces"].numpy() if "forces" in graph.labels else None
    measure_arrays(record, positions, dataset.rows("cell", [index])[0], forces)
    if forces is not None:
        bonds.add(numbers, forces, center, neighbor, vector, origin=record.origin)
        record.axes_without_forces = axes_without_forces(forces, center, vector)


def labels_of(dataset: Dataset, index: int) -> dict[str, Any]:
    """Return the labels of a structure."""
    rows = {
        name: dataset.rows(name, [index])
        for name in ("energy", "forces", "stress")
        if dataset.has(name)
    }
    shaped = {name: value if name == "forces" else value[0] for name, value in rows.items()}
    return {name: value for name, value in shaped.items() if np.isfinite(value).all()}


def _inputs(dataset: Dataset, indices: NDArray[np.int64]) -> list[State]:
    """Return the model inputs of each structure."""
    names = [quantity.name for quantity in inputs() if dataset.has(quantity.name)]
    each = [dataset.rows(name, indices).reshape(len(indices), -1).tolist() for name in names]
    return [
        state_of({name: rows[k] for name, rows in zip(names, each, strict=True)})
        for k in range(len(indices))
    ]


def _chunk(
    dataset: Dataset, indices: NDArray[np.int64], compositions: NDArray[np.int64]
) -> list[Record]:
    sizes = dataset.n_atoms[indices]
    ends = np.cumsum(sizes)
    numbers, positions = dataset.rows("numbers", indices), dataset.rows("positions", indices)
    cells, pbc = dataset.rows("cell", indices), dataset.rows("pbc", indices).astype(bool)
    alone = dataset.rows("n_neighbors", indices) == 0
    n_alone = np.where(sizes > 1, np.add.reduceat(alone, ends - sizes, dtype=np.int64), 0)
    projections = _projections(positions, cells, sizes, ends)
    volumes = np.where(pbc.all(axis=1), np.abs(np.linalg.det(cells)), 0.0)
    inputs_of_each = _inputs(dataset, indices)
    records: list[Record] = []
    for k, (index, end, size) in enumerate(zip(indices, ends, sizes, strict=True)):
        atoms = slice(end - size, end)
        without_neighbors = np.flatnonzero(alone[atoms])[:3].tolist() if n_alone[k] else []
        origin = dataset.origin(index)
        records.append(
            Record(
                origin=origin,
                file=origin.rpartition("#")[0],
                n_atoms=int(size),
                composition=_pairs(tuple(dataset.elements), tuple(compositions[k].tolist())),
                order=zlib.crc32(numbers[atoms].tobytes() + pbc[k].tobytes()),
                pbc=tuple(pbc[k].tolist()),
                keys=(),
                labels=(),
                left_out=(),
                not_finite=(),
                cell_missing=False,
                projections=projections[k],
                nearest_ratio=np.nan,
                closest=NOT_MEASURED,
                without_neighbors=tuple(without_neighbors),
                n_without_neighbors=int(n_alone[k]),
                volume=float(volumes[k]),
                inputs=inputs_of_each[k],
            )
        )
    _add_energies(records, dataset, indices)
    if dataset.has("forces"):
        _add_forces(records, dataset.rows("forces", indices), positions, cells, sizes, ends)
    if dataset.has("stress"):
        for record, stress in zip(records, dataset.rows("stress", indices), strict=True):
            if np.isfinite(stress).all():
                record.stress_max = float(np.abs(stress).max())
                record.pressure = -float(np.trace(stress)) / 3
                record.labels += ("stress",)
    return records


def _add_energies(records: list[Record], dataset: Dataset, indices: NDArray[np.int64]) -> None:
    """Fill in energies, and the dipoles that energies in fields are compared with."""
    if dataset.has("energy"):
        for record, energy in zip(records, dataset.rows("energy", indices).tolist(), strict=True):
            if np.isfinite(energy):
                record.energy, record.labels = energy, ("energy",)
    if dataset.has("dipole"):
        for record, dipole in zip(records, dataset.rows("dipole", indices).tolist(), strict=True):
            record.dipole = tuple(dipole) if np.isfinite(dipole).all() else None


def _add_forces(  # noqa: PLR0917 - the arrays of a chunk
    records: list[Record],
    forces: Array,
    positions: Array,
    cells: Array,
    sizes: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    """Fill in the forces; atoms whose forces are not trained on (NaN) are ignored."""
    starts = ends - sizes
    square = np.einsum("ax,ax->a", forces, forces)
    known = np.isfinite(square)
    counts = np.add.reduceat(known, starts, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, square, 0.0), starts)
    largest = np.maximum.reduceat(np.where(known, square, -1.0), starts)
    net = np.linalg.norm(np.add.reduceat(forces, starts), axis=1)
    zero = square == 0.0
    n_zero = np.add.reduceat(zero, starts, dtype=np.int64)
    projections = _projections(forces, np.zeros_like(cells), sizes, ends)
    for k, record in enumerate(records):
        if not counts[k]:
            continue
        atoms = slice(starts[k], ends[k])
        record.labels += ("forces",)
        record.force_rms = float(np.sqrt(sums[k] / counts[k]))
        record.force_max = float(np.sqrt(largest[k]))
        record.force_max_atom = int(np.argmax(square[atoms] == largest[k]))
        record.net_force = float(net[k]) if counts[k] == sizes[k] else 0.0
        record.zero_forces = (
            np.packbits(zero[atoms]).tobytes() if n_zero[k] else bytes((sizes[k] + 7) // 8)
        )
        if record.force_max == 0.0:
            inverse = np.linalg.inv(cells[k]) if record.volume else np.eye(3)
            scaled = positions[atoms] @ inverse
            record.zero_geometry = project(scaled[None], np.zeros((1, 3, 3)))[0]
        elif counts[k] == sizes[k]:
            record.force_projections = projections[k]


@lru_cache(maxsize=4096)
def _pairs(elements: tuple[int, ...], counts: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return the elements of a structure and their counts."""
    return tuple((z, n) for z, n in zip(elements, counts, strict=True) if n)


def _projections(
    positions: Array, cells: Array, sizes: NDArray[np.int64], ends: NDArray[np.int64]
) -> list[tuple[float, ...]]:
    by_size: dict[int, list[int]] = defaultdict(list)
    for k, size in enumerate(sizes.tolist()):
        by_size[size].append(k)
    projections: list[tuple[float, ...]] = [()] * len(sizes)
    for size, members in by_size.items():
        rows = (ends[members] - size)[:, None] + np.arange(size)
        for k, values in zip(members, project(positions[rows], cells[members]), strict=True):
            projections[k] = values
    return projections
