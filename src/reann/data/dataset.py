"""`Dataset`: structures, labels and neighbor lists on disk, from which batches are gathered.

Files are read once. Everything is in eV and Å and in a memory-mapped cache (`reann.data.cache`);
what stays in memory is the system's page cache, which it may drop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from reann.config import DataConfig
from reann.data.build import Progress, build_cache
from reann.data.cache import DamagedCacheError, cache_key, open_cache, remove_cache
from reann.data.file_types import check_file
from reann.data.fingerprint import fingerprints, stored_part
from reann.data.resolved import ResolvedKeys
from reann.data.rounding import condensed, looked_up, recorded
from reann.errors import UserError, did_you_mean
from reann.graph import Graph
from reann.input_files import display_name, file_hash, find_files
from reann.quantities import label_names, labels

Index = int | np.integer
Indices = Sequence[Index] | NDArray[Any]


class Dataset:
    """Structures with labels and neighbor lists, read from a cache."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        about: dict[str, Any],
        files: list[tuple[str, str]],
        notes: Sequence[str] = (),
    ) -> None:
        self.files = files
        """Name and SHA-256 of each file."""
        self.elements: list[int] = list(about["elements"])
        """Atomic numbers that are there, ascending."""
        keys = dict(about["keys"])
        self.keys = ResolvedKeys(**{**keys, "notes": tuple(keys["notes"])})
        self.remarks: list[str] = about["remarks"]
        """What the files hold and is left out."""
        self.notes: list[str] = [*notes, *self.remarks, *self.keys.notes, *about["notes"]]
        """What the user should hear."""
        self.varying: list[str] = list(about.get("varying", []))
        """Charge, spin, field and the like that differ among the structures, by key."""
        self._arrays = arrays
        self._atoms: NDArray[np.int64] = np.array(arrays["first_atom"])
        self._edges: NDArray[np.int64] = np.array(arrays["first_edge"])
        self.n_atoms: NDArray[np.int64] = np.diff(self._atoms)
        """(structures,)"""
        self.n_edges: NDArray[np.int64] = np.diff(self._edges)
        """(structures,) directed pairs."""
        names: list[str] = about["groups"]
        self.groups: list[str] = [names[code] for code in arrays["group"]]
        """(structures,) names, empty where there is none."""
        self._head_names: list[str] = about.get("heads", [])
        self.head: NDArray[np.int64] | None = None
        """(structures,) indices in the heads of a model; None: the first one for all."""

    def __len__(self) -> int:
        return len(self.n_atoms)

    def origin(self, index: Index) -> str:
        """Return where a structure comes from, as ``train.xyz.gz#17``."""
        file, frame = self._arrays["origin"][index]
        return f"{self.files[file][0]}#{frame}"

    def assign_heads(self, heads: Sequence[str]) -> None:
        """Look up the head of every structure among those of a model.

        Raises
        ------
        UserError
            If a structure names another head, or if no structure can name one of several.
        """
        if "head" not in self._arrays:
            if len(heads) > 1:
                raise UserError(
                    f"The model has the heads {', '.join(heads)}, and the data do not say which of"
                    " them the structures belong to.",
                    "data.keys.head",
                    "Name the key that holds the name of the head of each structure.",
                )
            return
        codes = self._arrays["head"]
        for code, name in enumerate(self._head_names):
            if name and name not in heads:
                first = int(np.flatnonzero(codes == code)[0])
                raise UserError(
                    f"The structure names the head '{name}'; the model has {', '.join(heads)}."
                    f"{did_you_mean(name, heads)}",
                    self.origin(first),
                    "Correct it, or list all heads in model.heads.",
                )
        index = np.array([heads.index(name) if name else 0 for name in self._head_names])
        self.head = index[codes] if len(heads) > 1 else None

    @property
    def n_heads(self) -> int:
        """Number of heads up to the last one that structures belong to."""
        return 1 if self.head is None else int(self.head.max(initial=0)) + 1

    @property
    def periodic(self) -> bool:
        """Whether any structure is periodic in any direction."""
        return bool(np.any(self._arrays["pbc"]))

    def has(self, name: str) -> bool:
        """Whether any structure has a label."""
        return name in self._arrays and self.keys.counts.get(name, 0) > 0

    def label(self, name: str) -> NDArray[np.float64]:
        """Return a label of all structures, read-only, NaN where missing.

        Units and shapes are those of `reann.quantities`; the first axis is all atoms or structures.
        """
        return self._arrays[name]

    def rows(self, name: str, indices: Indices) -> NDArray[Any]:
        """Return the rows of an array of atoms or structures that belong to some structures."""
        array, indices = self._arrays[name], np.asarray(indices, dtype=np.int64)
        per_atom = [quantity.name for quantity in labels() if quantity.per_atom]
        if name in ("positions", "numbers", "n_neighbors", *per_atom):
            return _pieces(array, self._atoms, indices)
        return array[indices]

    def graph(self, indices: Indices) -> Graph:
        """Return the batch of some structures, with their labels and weights."""
        indices = np.asarray(indices, dtype=np.int64)
        sizes, pairs = self.n_atoms[indices], self.n_edges[indices]
        first_atom = np.cumsum(sizes) - sizes
        first = np.concatenate([[0], np.cumsum(self.rows("n_neighbors", indices), dtype=np.int64)])
        neighbor = _pieces(self._arrays["neighbor"], self._edges, indices).astype(np.int32)
        neighbor += np.repeat(first_atom.astype(np.int32), pairs)
        shift = _pieces(self._arrays["shift"], self._edges, indices).astype(np.int32)
        names = [name for name in label_names() if self.has(name)]
        labels = {name: torch.from_numpy(self.rows(name, indices)) for name in [*names, "weight"]}
        numbers = self.rows("numbers", indices).astype(np.int64)
        return Graph(
            positions=torch.from_numpy(self.rows("positions", indices)),
            atomic_numbers=torch.from_numpy(numbers),
            system=torch.from_numpy(np.repeat(np.arange(len(indices)), sizes)),
            cell=torch.from_numpy(self.rows("cell", indices)),
            pbc=torch.from_numpy(self.rows("pbc", indices).astype(bool)),
            first=torch.from_numpy(first),
            neighbor=torch.from_numpy(neighbor),
            edge_shift=torch.from_numpy(shift),
            labels=labels,
            head=None if self.head is None else torch.from_numpy(self.head[indices]),
        )

    def atoms(self, index: Index) -> ase.Atoms:
        """Return a structure without its labels."""
        return ase.Atoms(
            numbers=self.rows("numbers", [index]),
            positions=self.rows("positions", [index]),
            cell=self._arrays["cell"][index],
            pbc=self._arrays["pbc"][index].astype(bool),
        )

    @cached_property
    def fingerprints(self) -> NDArray[np.uint64]:
        """(structures,) hashes of the geometries; see `reann.data.fingerprint`."""
        return fingerprints(**self._geometry(), first_atom=self._atoms)

    @cached_property
    def condensed(self) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
        """What finds geometries again that were rounded; see `reann.data.rounding`."""
        return condensed(**self._geometry(), first_atom=self._atoms)

    def _geometry(self) -> dict[str, NDArray[Any]]:
        return {name: self._arrays[name] for name in ("positions", "numbers", "cell", "pbc")}

    def composition(self) -> NDArray[np.int64]:
        """Return how many atoms of each element every structure has, (structures, elements)."""
        counts = np.zeros((len(self), len(self.elements)), dtype=np.int64)
        for column, element in enumerate(self.elements):
            total = np.cumsum(self._arrays["numbers"] == element)
            counts[:, column] = np.diff(np.concatenate([[0], total])[self._atoms])
        return counts


@dataclass(frozen=True)
class Subset:
    """Some structures of a data set."""

    dataset: Dataset
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def of_head(self, head: int) -> Subset:
        """Return the structures whose labels belong to a head."""
        if self.dataset.head is None:
            return self if head == 0 else Subset(self.dataset, self.indices[:0])
        return Subset(self.dataset, self.indices[self.dataset.head[self.indices] == head])

    @property
    def fingerprints(self) -> NDArray[np.uint64]:
        """(structures,) hashes of the geometries."""
        return self.dataset.fingerprints[self.indices]

    def recorded(self) -> NDArray[np.uint64]:
        """Return what a potential records of its training structures, two numbers of each."""
        places, kinds = self.dataset.condensed
        rounded = recorded(places[self.indices], kinds[self.indices])
        return np.concatenate([stored_part(self.fingerprints), rounded])

    def among(self, known: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which structures are recorded, exactly or rounded to 1e-3 Å, (structures,)."""
        if not len(known):
            return np.zeros(len(self), dtype=bool)
        places, kinds = self.dataset.condensed
        rounded = looked_up(places[self.indices], kinds[self.indices], known)
        return rounded | np.isin(stored_part(self.fingerprints), known)


def open_dataset(
    files: str | list[str],
    data: DataConfig,
    cutoff: float,
    cache_folder: Path,
    progress: Progress | None = None,
) -> Dataset:
    """Return the structures of files and globs, from the cache when it holds them.

    Parameters
    ----------
    files
        As `reann.data.read.iter_atoms`.
    data
        Keys, units and what may be missing.
    cutoff
        Å, of the neighbor lists.
    cache_folder
        Caches of all data sets; the one of these files has its own folder inside.
    progress
        Called with the number of structures read and a note, while the cache is built.

    Raises
    ------
    UserError
        For files, labels or structures that cannot be used.
    """
    paths = find_files(files)
    for path in paths:
        check_file(path, display_name(path))  # before a huge file is hashed
    named = [(display_name(path), file_hash(path)) for path in paths]
    folder = Path(cache_folder) / cache_key(
        files=[digest for _, digest in named],
        cutoff=float(cutoff),
        keys=data.keys.model_dump(exclude_unset=True),
        units=data.units.model_dump(),
        units_set=sorted(data.units.model_fields_set),
        missing=data.missing,
        ignore_forces_of=data.ignore_forces_of,
    )
    notes = []
    try:
        return Dataset(*open_cache(folder), named)
    except FileNotFoundError:
        pass
    except DamagedCacheError as error:
        notes.append(f"The cache of neighbor lists was damaged ({error}) and built anew.")
        remove_cache(folder)
    build_cache(folder, paths, data, cutoff, progress)
    return Dataset(*open_cache(folder), named, notes)


def _pieces(
    array: NDArray[Any], first: NDArray[np.int64], indices: NDArray[np.int64]
) -> NDArray[Any]:
    if len(indices) == 0:
        return array[:0].copy()
    starts, ends = first[indices], first[indices + 1]
    return np.concatenate([array[a:b] for a, b in zip(starts, ends, strict=True)])
