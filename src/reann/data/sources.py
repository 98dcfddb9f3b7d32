"""The files of each source of a data set, and the labels of their structures as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.config import DataConfig, Source
from reann.data.cache import cache_key
from reann.data.file_types import check_file
from reann.data.resolved import ResolvedKeys
from reann.errors import UserError
from reann.input_files import display_name, file_hash, find_files


@dataclass(frozen=True)
class SourceFiles:
    """The files of a source, known by their content, and how they are read."""

    source: Source
    data: DataConfig
    """Settings for reading these files."""
    files: tuple[tuple[Path, str, str], ...]
    """Path, name and SHA-256 of each file."""
    place: str
    """Where the configuration names them, as `data.sources.1`; empty for the only source."""

    @property
    def where(self) -> str:
        """Names of the first files, for messages."""
        names = [name for _, name, _ in self.files]
        return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")

    def as_key(self) -> dict[str, Any]:
        """Return what the labels of the source depend on, as part of the key of a cache."""
        return {
            "files": [digest for _, _, digest in self.files],
            "keys": self.data.keys.model_dump(exclude_unset=True),
            "units": self.data.units.model_dump(),
            "units_set": sorted(self.data.units.model_fields_set),
        }

    def settings_of(self, digest: str, cutoff: float) -> str:
        """Return the key of all that the rows of a file depend on, except the chosen keys."""
        return cache_key(
            file=digest,
            cutoff=float(cutoff),
            units=self.data.units.model_dump(),
            units_set=sorted(self.data.units.model_fields_set),
            missing=self.data.missing,
            ignore_forces_of=self.data.ignore_forces_of,
        )

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let errors that name a field of `data` name that of the source."""
        try:
            yield
        except UserError as error:
            if not self.place:
                raise
            texts = (error.what, error.where, error.fix)
            for field in ("keys", "units"):
                texts = tuple(t.replace(f"data.{field}", f"{self.place}.{field}") for t in texts)
            raise UserError(*texts) from error


@dataclass(frozen=True)
class Opening:
    """What a data set is opened with."""

    sources: Sequence[Source]
    """With all fields of `data` that they lack."""
    data: DataConfig
    cutoff: float
    """Å, of the neighbor lists."""
    cache_folder: Path

    def extended(self, files: str | list[str] | Source) -> Opening:
        """Return the opening of a data set with a further source, or more files of the last one."""
        *others, last = self.sources
        if isinstance(files, Source):
            data = self.data.model_copy(update={"train": None, "sources": [files]})
            return replace(self, sources=[*self.sources, *data.all_sources()])
        names = [[each] if isinstance(each, str) else each for each in (last.files, files)]
        more = last.model_copy(update={"files": [*names[0], *names[1]]})
        return replace(self, sources=[*others, more])


def find_sources(sources: Sequence[Source], data: DataConfig) -> list[SourceFiles]:
    """Return the files of sources.

    Raises
    ------
    UserError
        For files that do not exist, or that no reader can read.
    """
    found = []
    for number, source in enumerate(sources):
        paths = find_files(source.files)
        for path in paths:
            check_file(path, display_name(path))  # before a huge file is hashed
        files = tuple((path, display_name(path), file_hash(path)) for path in paths)
        place = f"data.sources.{number}" if len(sources) > 1 else ""
        found.append(SourceFiles(source, data.of(source), files, place))
    return found


def key_of(sources: Sequence[SourceFiles], cutoff: float) -> str:
    """Return the name of the cache of a data set."""
    data = sources[0].data
    each = [source.as_key() for source in sources]
    what = each[0] if len(each) == 1 else {"sources": each}
    return cache_key(
        cutoff=float(cutoff),
        missing=data.missing,
        ignore_forces_of=data.ignore_forces_of,
        **what,
    )


def source_numbers(sources: Sequence[SourceFiles], files: NDArray[Any]) -> NDArray[np.int64]:
    """Return the numbers of the sources that files belong to, given by their numbers."""
    sizes = [len(source.files) for source in sources]
    return np.repeat(np.arange(len(sources)), sizes)[files]


def weight_factors(
    sources: Sequence[SourceFiles], files: NDArray[Any]
) -> NDArray[np.float64] | None:
    """Return what multiplies the weight of each structure, None where that is 1 for all.

    `files` is the number of the file of each structure.
    """
    weights = np.array([source.source.weight for source in sources])
    return None if (weights == 1.0).all() else weights[source_numbers(sources, files)]


def joined(keys: Sequence[ResolvedKeys], sources: Sequence[SourceFiles]) -> ResolvedKeys:
    """Return what is known about the labels of all sources together."""
    if len(keys) == 1:
        return keys[0]
    counts: Counter[str] = Counter()
    chosen: dict[str, str] = {}
    for each in keys:
        counts.update(each.counts)
        chosen = each.chosen | chosen
    notes = (
        f"{source.where}: {note}"
        for each, source in zip(keys, sources, strict=True)
        for note in each.notes
    )
    same = all(each.units == keys[0].units for each in keys)
    return ResolvedKeys(
        chosen=chosen,
        counts=dict(counts),
        n_structures=sum(each.n_structures for each in keys),
        notes=tuple(notes),
        units=keys[0].units if same else {},
    )
