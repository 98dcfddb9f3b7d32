"""From files to a cache: one pass that reads, labels and finds neighbors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.config import DataConfig
from reann.data.cache import CacheWriter
from reann.data.conditions import VaryingConditions
from reann.data.keys import KeyCensus
from reann.data.labels import extract
from reann.data.neighbors import checked_neighbors
from reann.data.read import read_file
from reann.data.remarks import Remark, ignore, summarized
from reann.data.resolved import ResolvedKeys
from reann.data.stated import to_angstrom
from reann.errors import UserError, counted, listed
from reann.input_files import display_name
from reann.quantities import labels

Progress = Callable[[int, str], None]

N_FIRST = 20
"""Structures from which the keys are guessed before all have been seen."""

_REAL = ("<f8",)
_NATURAL = ("u1", "<u2", "<u4")
_SIGNED = ("i1", "<i2", "<i4")
ARRAYS = {
    "positions": ((3,), _REAL),
    "numbers": ((), ("u1",)),
    "cell": ((3, 3), _REAL),
    "pbc": ((3,), ("u1",)),
    "first_atom": ((), ("<i8",)),
    "first_edge": ((), ("<i8",)),
    "n_neighbors": ((), _NATURAL),
    "neighbor": ((), _NATURAL),
    "shift": ((3,), _SIGNED),
    "origin": ((2,), _NATURAL),
    "group": ((), _NATURAL),
    "weight": ((), _REAL),
}
"""Shape of a row and types, the smallest first. `neighbor` counts within the structure. Labels are
added."""


def build_cache(
    folder: Path,
    paths: list[Path],
    data: DataConfig,
    cutoff: float,
    progress: Progress | None = None,
) -> None:
    """Read all structures and write their arrays.

    The keys are guessed from the first structures. Should the rest of the files show that the
    guess was wrong, everything is read once more.
    """
    where = ", ".join(display_name(path) for path in paths[:3]) + (", …" if len(paths) > 3 else "")
    keys = _guess(paths, data, where)
    while True:
        build = _Build(keys, data, cutoff)
        with CacheWriter(folder, build.arrays) as writer:
            done = 0
            for file, path in enumerate(paths):
                name = display_name(path)
                structures = read_file(path, name, build.remarks.append)
                for frame, (atoms, origin) in enumerate(structures):
                    build.add(writer, atoms, origin, (file, frame))
                    done += 1
                    if progress is not None:
                        progress(done, name)
            _check_converged(build.remarks, data)
            found = build.census.resolve(data, where)
            if _same(found, keys):
                build.finish(writer, found)
                return
        keys = found


def _guess(paths: list[Path], data: DataConfig, where: str) -> ResolvedKeys:
    frames = chain.from_iterable(read_file(path, display_name(path), ignore) for path in paths)
    census = KeyCensus()
    for atoms, origin in islice(frames, N_FIRST):
        census.add(atoms, origin)
    try:
        return census.resolve(data.model_copy(update={"missing": "allow"}))
    except UserError:
        # Perhaps only the later structures have what was asked for: count them all first.
        for atoms, origin in frames:
            census.add(atoms, origin)
        return census.resolve(data, where)


def _check_converged(remarks: list[Remark], data: DataConfig) -> None:
    origins = [remark.origin for remark in remarks if remark.kind == "not-converged"]
    if origins and data.missing == "error":
        raise UserError(
            f"The electronic steps of {counted(len(origins), 'structure')} did not"
            " converge, so energies and forces are not what the method gives.",
            listed(origins),
            "Converge them, or remove the structures. With data.missing: allow the training goes on"
            " without their labels.",
        )


def _same(one: ResolvedKeys, other: ResolvedKeys) -> bool:
    blank = {"counts": {}, "n_structures": 0, "notes": (), "units": {}}
    return replace(one, **blank) == replace(other, **blank)


class _Build:
    """What is counted while structures stream by."""

    def __init__(self, keys: ResolvedKeys, data: DataConfig, cutoff: float) -> None:
        self.keys, self.data, self.cutoff = keys, data, cutoff
        self.census = KeyCensus()
        self.remarks: list[Remark] = []
        self.labels = [q for q in labels() if keys.holds(q.name)]
        self._has_heads = keys.of("head") is not None
        head = {"head": ((), _NATURAL)} if self._has_heads else {}
        self.arrays = ARRAYS | head | {q.name: (q.shape, _REAL) for q in self.labels}
        self._elements: set[int] = set()
        self._groups: dict[str, int] = {"": 0}
        self._heads: dict[str, int] = {"": 0}
        self._conditions = VaryingConditions()
        self._atoms = self._edges = self._n = self._with_zero_forces = self._constrained = 0

    def add(
        self, writer: CacheWriter, atoms: ase.Atoms, origin: str, place: tuple[int, int]
    ) -> None:
        self.census.add(atoms, origin)
        self._conditions.add(atoms)
        given = extract(atoms, self.keys, self.data, origin)
        to_angstrom(atoms, self.data.units, origin)
        neighbors = checked_neighbors(atoms, self.cutoff, origin)
        writer.append(
            positions=atoms.positions,
            numbers=atoms.numbers,
            cell=atoms.cell.array[None],
            pbc=np.asarray(atoms.pbc, dtype=np.uint8)[None],
            first_atom=np.array([self._atoms]),
            first_edge=np.array([self._edges]),
            n_neighbors=np.diff(neighbors.first),
            neighbor=neighbors.neighbor,
            shift=neighbors.crossed,
            origin=np.array([place]),
            group=np.array([self._groups.setdefault(given["group"], len(self._groups))]),
            weight=given["weight"][None],
            **self._head_of(given),
            **{q.name: given[q.name] if q.per_atom else given[q.name][None] for q in self.labels},
        )
        self._elements.update(np.unique(atoms.numbers).tolist())
        self._n += 1
        self._atoms += len(atoms)
        self._edges += len(neighbors.neighbor)
        if "forces" in given:  # programs write zeros for fixed atoms
            zero = (given["forces"] == 0).all(axis=1)
            self._with_zero_forces += bool(zero.any() and not zero.all())
            self._constrained += bool(atoms.constraints)

    def _head_of(self, given: Mapping[str, Any]) -> dict[str, NDArray[np.int64]]:
        if not self._has_heads:
            return {}
        return {"head": np.array([self._heads.setdefault(given.get("head", ""), len(self._heads))])}

    def finish(self, writer: CacheWriter, keys: ResolvedKeys) -> None:
        writer.append(first_atom=np.array([self._atoms]), first_edge=np.array([self._edges]))
        notes = []
        if self._with_zero_forces > 0.5 * self._n:
            notes.append(
                f"In {self._with_zero_forces} of {self._n} structures the forces on some atoms are"
                " exactly zero: fixed atoms? data.ignore_forces_of leaves them out"
                f" ({'constrained' if self._constrained else 'name a mask'})."
            )
        writer.finish(
            {
                "keys": asdict(keys),
                "elements": sorted(self._elements),
                "groups": list(self._groups),
                "heads": list(self._heads),
                "varying": self._conditions.names(),
                "notes": notes,
                "remarks": summarized(self.remarks),
            }
        )
