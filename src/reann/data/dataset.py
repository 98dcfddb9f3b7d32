"""`Dataset`: structures, labels and neighbor lists on disk, from which batches are gathered.

Files are read once into a memory-mapped cache (`reann.data.cache`), in eV and Å. The memory used is
that of the page cache of the system.
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
from reann.data.cache.build import Progress, build_cache
from reann.data.cache.sources import (
    Opening,
    SourceFiles,
    find_sources,
    key_of,
    weight_factors,
)
from reann.data.cache.storage import DamagedCacheError, open_cache, remove_cache
from reann.data.concatenated import counts, pieces
from reann.data.fingerprint import fingerprints, stored_part
from reann.data.heads import head_indices
from reann.data.labels.resolved import ResolvedKeys
from reann.data.rounding import condensed, looked_up, recorded
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
        """Atomic numbers of the structures, ascending."""
        keys = dict(about["keys"])
        self.keys = ResolvedKeys(**{**keys, "notes": tuple(keys["notes"])})
        self.skipped: list[str] = about["remarks"]
        """Data in the files that were skipped."""
        self.notes: list[str] = [*notes, *self.skipped, *self.keys.notes, *about["notes"]]
        """Messages for the user."""
        self.varying: list[str] = list(about.get("varying", []))
        """Keys of charge, spin, field and similar conditions that differ among the structures."""
        self._arrays = arrays
        self._atoms: NDArray[np.int64] = np.array(arrays["first_atom"])
        self._edges: NDArray[np.int64] = np.array(arrays["first_edge"])
        self.n_atoms: NDArray[np.int64] = np.diff(self._atoms)
        """(structures,)"""
        self.n_edges: NDArray[np.int64] = np.diff(self._edges)
        """(structures,) number of directed pairs."""
        names: list[str] = about["groups"]
        self.groups: list[str] = [names[code] for code in arrays["group"]]
        """(structures,) names of the groups, empty without a group."""
        self._head_names: list[str] = about.get("heads", [])
        self.head: NDArray[np.int64] | None = None
        """(structures,) indices of the heads of a model; None if all belong to the first head."""
        self.sources, self._opening = sources, opening
        self._heads: Sequence[str] | None = None
        self._factor = weight_factors(sources, arrays["origin"][:, 0])

    def __len__(self) -> int:
        return len(self.n_atoms)

    def origin(self, index: Index) -> str:
        """Return the origin of a structure, such as ``train.xyz.gz#17``."""
        file, frame = self._arrays["origin"][index]
        return f"{self.files[file][0]}#{frame}"

    def assign_heads(self, heads: Sequence[str]) -> None:
        """Assign each structure to one of the heads of a model.

        Raises
        ------
        UserError
            If a structure names an unknown head, or if there are several heads but no key for
            their names.
        """
        files = self._arrays["origin"][:, 0]
        named = (self._arrays["head"], self._head_names) if "head" in self._arrays else None
        self.head = head_indices(heads, self.sources, files, named, self.origin)
        self._heads = heads

    def extended(
        self, files: str | list[str] | Source, progress: Progress | None = None
    ) -> Dataset:
        """Return a data set with more files appended.

        Cached files are not read again. A part that is drawn as a fraction (`data.split`) keeps
        its structures.

        Parameters
        ----------
        files
            Files and globs, which are read like those of the last source, or another source.
        progress
            As in `open_dataset`, which also describes the errors.
        """
        dataset = open_sources(self._opening.extended(files), progress)
        if self._heads is not None:
            dataset.assign_heads(self._heads)
        return dataset

    @property
    def n_heads(self) -> int:
        """Number of heads, up to the last head with structures."""
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
        """Return the rows of an array, per atom or per structure, of some structures."""
        array, indices = self._arrays[name], np.asarray(indices, dtype=np.int64)
        per_atom = [quantity.name for quantity in labels() if quantity.per_atom]
        if name in ("positions", "numbers", "n_neighbors", *per_atom):
            return pieces(array, self._atoms, indices)
        if name == "weight" and self._factor is not None:
            return array[indices] * self._factor[indices]
        return array[indices]

    def graph(self, indices: Indices) -> Graph:
        """Return the batch of some structures, with their labels and weights."""
        indices = np.asarray(indices, dtype=np.int64)
        sizes, pairs = self.n_atoms[indices], self.n_edges[indices]
        first_atom = np.cumsum(sizes) - sizes
        first = np.concatenate([[0], np.cumsum(self.rows("n_neighbors", indices), dtype=np.int64)])
        neighbor = pieces(self._arrays["neighbor"], self._edges, indices).astype(np.int32)
        neighbor += np.repeat(first_atom.astype(np.int32), pairs)
        shift = pieces(self._arrays["shift"], self._edges, indices).astype(np.int32)
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
        """Return a structure without its labels; further inputs of the model are in `info`."""
        names = [quantity.name for quantity in inputs() if self.has(quantity.name)]
        return ase.Atoms(
            info={name: self._arrays[name][index] for name in names},
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
        """Fingerprints that tolerate rounding of the coordinates; see `reann.data.rounding`."""
        return condensed(**self._geometry(), first_atom=self._atoms)

    def _geometry(self) -> dict[str, NDArray[Any]]:
        return {name: self._arrays[name] for name in ("positions", "numbers", "cell", "pbc")}

    def composition(self) -> NDArray[np.int64]:
        """Return the number of atoms of each element in each structure, (structures, elements)."""
        numbers = self._arrays["numbers"]
        columns = [counts(numbers == element, self._atoms) for element in self.elements]
        return np.stack(columns, axis=1)


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
        """Return the fingerprints that a potential records, two for each training structure."""
        sums, kinds = self.dataset.condensed
        rounded = recorded(sums[self.indices], kinds[self.indices])
        return np.concatenate([stored_part(self.fingerprints), rounded])

    def among(self, known: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which structures are recorded, exactly or rounded to 1e-3 Å, (structures,)."""
        if not len(known):
            return np.zeros(len(self), dtype=bool)
        sums, kinds = self.dataset.condensed
        rounded = looked_up(sums[self.indices], kinds[self.indices], known)
        return rounded | np.isin(stored_part(self.fingerprints), known)


def open_dataset(
    files: str | list[str],
    data: DataConfig,
    cutoff: float,
    cache_folder: Path,
    progress: Progress | None = None,
) -> Dataset:
    """Return the structures of files and globs, from the cache if it has them.

    Parameters
    ----------
    files
        As in `reann.data.files.read.iter_atoms`.
    data
        Keys, units and whether labels may be missing.
    cutoff
        Cutoff radius of the neighbor lists, Å.
    cache_folder
        Folder with the caches of all data sets, each in a folder of its own.
    progress
        Called with the number of structures and a note while files are read.

    Raises
    ------
    UserError
        For files, labels or structures that cannot be used.
    """
    return open_sources(Opening([data.source_of(files)], data, cutoff, cache_folder), progress)


def open_sources(opening: Opening, progress: Progress | None = None) -> Dataset:
    """Return the structures of all sources; for `progress` and errors see `open_dataset`."""
    sources = find_sources(opening.sources, opening.data)
    folder = Path(opening.cache_folder) / key_of(sources, opening.cutoff)
    notes: list[str] = []
    try:
        return Dataset(*open_cache(folder), sources, opening)
    except FileNotFoundError:
        pass
    except DamagedCacheError as error:
        notes.append(f"The cache of neighbor lists was damaged ({error}) and has been rebuilt.")
        remove_cache(folder)
    notes += build_cache(folder, sources, opening.cutoff, progress)
    return Dataset(*open_cache(folder), sources, opening, notes)
