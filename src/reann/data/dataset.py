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

from reann.config import DataConfig, Source
from reann.data.build import Progress, build_cache
from reann.data.cache import DamagedCacheError, open_cache, remove_cache
from reann.data.fingerprint import fingerprints, stored_part
from reann.data.heads import head_indices
from reann.data.resolved import ResolvedKeys
from reann.data.rounding import condensed, looked_up, recorded
from reann.data.sources import (
    Opening,
    SourceFiles,
    find_sources,
    key_of,
    weight_factors,
)
from reann.graph import Graph
from reann.quantities import inputs, label_names, labels

Index = int | np.integer
Indices = Sequence[Index] | NDArray[Any]


class Dataset:
    """Structures with labels and neighbor lists, read from a cache."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        about: dict[str, Any],
        sources: Sequence[SourceFiles],
        opening: Opening,
        notes: Sequence[str] = (),
    ) -> None:
        self.files = [(name, digest) for source in sources for _, name, digest in source.files]
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
        self.sources, self._opening = sources, opening
        self._heads: Sequence[str] | None = None
        self._factor = weight_factors(sources, arrays["origin"][:, 0])

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
        files = self._arrays["origin"][:, 0]
        named = (self._arrays["head"], self._head_names) if "head" in self._arrays else None
        self.head = head_indices(heads, self.sources, files, named, self.origin)
        self._heads = heads

    def extended(
        self, files: str | list[str] | Source, progress: Progress | None = None
    ) -> Dataset:
        """Return a data set with more files behind those of this one.

        What is in the cache is not read again. A part that is drawn as a fraction (`data.split`)
        keeps its structures.

        Parameters
        ----------
        files
            Files and globs, which are read as those of the last source, or a further source.
        progress
            As of `open_dataset`, whose errors this raises, too.
        """
        dataset = open_sources(self._opening.extended(files), progress)
        if self._heads is not None:
            dataset.assign_heads(self._heads)
        return dataset

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
        if name == "weight" and self._factor is not None:
            return array[indices] * self._factor[indices]
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
            **{
                quantity.name: torch.from_numpy(self.rows(quantity.name, indices))
                for quantity in inputs()
                if self.has(quantity.name)
            },
        )

    def atoms(self, index: Index) -> ase.Atoms:
        """Return a structure without its labels; what a model asks of it besides is in `info`."""
        given = [quantity.name for quantity in inputs() if self.has(quantity.name)]
        return ase.Atoms(
            info={name: self._arrays[name][index] for name in given},
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
        Called with the number of structures and a note, while files are read.

    Raises
    ------
    UserError
        For files, labels or structures that cannot be used.
    """
    return open_sources(Opening([data.source_of(files)], data, cutoff, cache_folder), progress)


def open_sources(opening: Opening, progress: Progress | None = None) -> Dataset:
    """Return the structures of all sources; `progress` and errors as `open_dataset`."""
    sources = find_sources(opening.sources, opening.data)
    folder = Path(opening.cache_folder) / key_of(sources, opening.cutoff)
    notes: list[str] = []
    try:
        return Dataset(*open_cache(folder), sources, opening)
    except FileNotFoundError:
        pass
    except DamagedCacheError as error:
        notes.append(f"The cache of neighbor lists was damaged ({error}) and built anew.")
        remove_cache(folder)
    notes += build_cache(folder, sources, opening.cutoff, progress)
    return Dataset(*open_cache(folder), sources, opening, notes)


def _pieces(
    array: NDArray[Any], first: NDArray[np.int64], indices: NDArray[np.int64]
) -> NDArray[Any]:
    if len(indices) == 0:
        return array[:0].copy()
    starts, ends = first[indices], first[indices + 1]
    return np.concatenate([array[a:b] for a, b in zip(starts, ends, strict=True)])
