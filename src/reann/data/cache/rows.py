"""The rows of a cache: appended structure by structure, or copied from another cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.data.cache.pieces import Content
from reann.data.cache.storage import CacheWriter, Rows
from reann.data.labels.resolved import ResolvedKeys
from reann.data.neighbors import checked_neighbors
from reann.quantities import inputs, labels

_REAL = ("<f8",)
_NATURAL = ("u1", "<u2", "<u4")
_SIGNED = ("i1", "<i2", "<i4")
ARRAYS: dict[str, Rows] = {
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
"""Shape of a row and types, smallest first. `neighbor` is relative to the structure. Labels are
added."""


class RowBuilder:
    """Makes the rows of structures.

    Parameters
    ----------
    keys
        Keys of the labels of each source.
    cutoff
        Cutoff radius of the neighbor lists, Å.
    """

    def __init__(self, keys: Sequence[ResolvedKeys], cutoff: float) -> None:
        self.cutoff = cutoff
        self.labels = [q for q in labels() if any(resolved.holds(q.name) for resolved in keys)]
        self.labels += [
            q for q in inputs() if any(resolved.of(q.name) is not None for resolved in keys)
        ]
        self._has_heads = any(resolved.of("head") is not None for resolved in keys)
        head: dict[str, Rows] = {"head": ((), _NATURAL)} if self._has_heads else {}
        self.arrays = ARRAYS | head | {q.name: (q.shape, _REAL) for q in self.labels}
        self.n = 0
        """Number of structures."""
        self._atoms = self._edges = 0
        self._elements: set[int] = set()
        self._groups: dict[str, int] = {"": 0}
        self._heads: dict[str, int] = {"": 0}

    def add(
        self,
        writer: CacheWriter,
        atoms: ase.Atoms,
        labels: Mapping[str, Any],
        origin: str,
        origin_index: tuple[int, int],
    ) -> None:
        """Append a structure, in Å, with its labels; `origin_index` is (file, frame)."""
        neighbors = checked_neighbors(atoms, self.cutoff, origin)
        rows = {
            q.name: labels[q.name] if q.per_atom else labels[q.name][None]
            for q in self.labels
            if q.name in labels
        }
        if self._has_heads:
            rows["head"] = np.array([_code(labels.get("head", ""), self._heads)])
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
            origin=np.array([origin_index]),
            group=np.array([_code(labels["group"], self._groups)]),
            weight=labels["weight"][None],
            **rows,
            **self._absent(rows, 1, len(atoms)),
        )
        self._elements.update(np.unique(atoms.numbers).tolist())
        self.n += 1
        self._atoms += len(atoms)
        self._edges += len(neighbors.neighbor)

    def copy(self, writer: CacheWriter, content: Content, file: int) -> None:
        """Append the structures of a file from another cache."""
        about, atoms, edges = content.about, self._atoms, self._edges
        for block in content.blocks():
            n, n_atoms = len(block["weight"]), len(block["numbers"])
            block["first_atom"] = atoms + block["first_atom"]
            block["first_edge"] = edges + block["first_edge"]
            block["origin"] = np.stack([np.full(n, file), block["origin"][:, 1]], axis=1)
            block["group"] = _recoded(block["group"], about["groups"], self._groups)
            if self._has_heads:
                codes = block.get("head", np.zeros(n, dtype=np.int64))
                block["head"] = _recoded(codes, about["heads"], self._heads)
            rows = {name: block[name] for name in self.arrays if name in block}
            writer.append(**rows, **self._absent(rows, n, n_atoms))
            self._elements.update(np.unique(block["numbers"]).tolist())
            self.n += n
            self._atoms += n_atoms
            self._edges += len(block["neighbor"])

    def finish(self, writer: CacheWriter) -> dict[str, Any]:
        """Append the end of the last structure; return the elements and the names of the codes."""
        writer.append(first_atom=np.array([self._atoms]), first_edge=np.array([self._edges]))
        return {
            "elements": sorted(self._elements),
            "groups": list(self._groups),
            "heads": list(self._heads),
        }

    def _absent(
        self, rows: Mapping[str, Any], n: int, n_atoms: int
    ) -> dict[str, NDArray[np.float64]]:
        """Return NaN for missing labels and defaults for missing inputs."""
        return {
            q.name: np.full(
                (n_atoms if q.per_atom else n, *q.shape), np.nan if q.default is None else q.default
            )
            for q in self.labels
            if q.name not in rows
        }


def _code(name: str, table: dict[str, int]) -> int:
    return table.setdefault(name, len(table))


def _recoded(codes: NDArray[Any], names: Sequence[str], table: dict[str, int]) -> NDArray[np.int64]:
    """Return the codes of names in another table, to which new names are added in order."""
    present, first = np.unique(codes, return_index=True)
    for code in present[np.argsort(first)].tolist():
        _code(str(names[code]), table)
    return np.array([table.get(name, 0) for name in names])[codes]
