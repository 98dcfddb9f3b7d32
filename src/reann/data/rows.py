"""The rows of a cache: appended structure by structure, or copied from the cache of other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.data.cache import CacheWriter, Rows
from reann.data.neighbors import checked_neighbors
from reann.data.pieces import Content
from reann.data.resolved import ResolvedKeys
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
"""Shape of a row and types, the smallest first. `neighbor` counts within the structure. Labels are
added."""


class RowBuilder:
    """Makes the rows of structures that stream by.

    Parameters
    ----------
    keys
        Of the labels of each source.
    cutoff
        Å, of the neighbor lists.
    """

    def __init__(self, keys: Sequence[ResolvedKeys], cutoff: float) -> None:
        self.cutoff = cutoff
        self.labels = [q for q in labels() if any(each.holds(q.name) for each in keys)]
        self.labels += [q for q in inputs() if any(each.of(q.name) is not None for each in keys)]
        self._has_heads = any(each.of("head") is not None for each in keys)
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
        given: Mapping[str, Any],
        origin: str,
        place: tuple[int, int],
    ) -> None:
        """Append a structure, in Å, with its labels; `place` are the numbers of file and frame."""
        neighbors = checked_neighbors(atoms, self.cutoff, origin)
        own = {
            q.name: given[q.name] if q.per_atom else given[q.name][None]
            for q in self.labels
            if q.name in given
        }
        if self._has_heads:
            own["head"] = np.array([_code(given.get("head", ""), self._heads)])
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
            group=np.array([_code(given["group"], self._groups)]),
            weight=given["weight"][None],
            **own,
            **self._absent(own, 1, len(atoms)),
        )
        self._elements.update(np.unique(atoms.numbers).tolist())
        self.n += 1
        self._atoms += len(atoms)
        self._edges += len(neighbors.neighbor)

    def copy(self, writer: CacheWriter, content: Content, file: int) -> None:
        """Append the structures of a file as another cache has them."""
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
            own = {name: block[name] for name in self.arrays if name in block}
            writer.append(**own, **self._absent(own, n, n_atoms))
            self._elements.update(np.unique(block["numbers"]).tolist())
            self.n += n
            self._atoms += n_atoms
            self._edges += len(block["neighbor"])

    def finish(self, writer: CacheWriter) -> dict[str, Any]:
        """Append the ends of the last structure; return the names that the rows have codes of."""
        writer.append(first_atom=np.array([self._atoms]), first_edge=np.array([self._edges]))
        return {
            "elements": sorted(self._elements),
            "groups": list(self._groups),
            "heads": list(self._heads),
        }

    def _absent(
        self, own: Mapping[str, Any], n: int, n_atoms: int
    ) -> dict[str, NDArray[np.float64]]:
        """Return NaN for the labels that other files have, and what holds without an input."""
        return {
            q.name: np.full(
                (n_atoms if q.per_atom else n, *q.shape), np.nan if q.default is None else q.default
            )
            for q in self.labels
            if q.name not in own
        }


def _code(name: str, table: dict[str, int]) -> int:
    return table.setdefault(name, len(table))


def _recoded(codes: NDArray[Any], names: Sequence[str], table: dict[str, int]) -> NDArray[np.int64]:
    """Return the codes that names have in another table, where new names are added in order."""
    present, first = np.unique(codes, return_index=True)
    for code in present[np.argsort(first)].tolist():
        _code(str(names[code]), table)
    return np.array([table.get(name, 0) for name in names])[codes]
