"""The files of each source of a data set, and how their labels are read."""

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
from reann.data.cache.storage import cache_key
from reann.data.files.file_types import check_file
from reann.data.labels.resolved import ResolvedKeys
from reann.errors import UserError
from reann.input_files import display_name, file_hash, find_files


@dataclass(frozen=True)
class SourceFiles:
    """The files of a source with their hashes, and the settings for reading them."""

    source: Source
    data: DataConfig
    """Settings for reading these files."""
    files: tuple[tuple[Path, str, str], ...]
    """Path, name and SHA-256 of each file."""
    place: str
    """Path in the configuration, such as `data.sources.1`; empty for a single source."""

    @property
    def where(self) -> str:
        """Names of the first files, for messages."""
        names = [name for _, name, _ in self.files]
        return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")

    def as_key(self) -> dict[str, Any]:
        """Return all settings that affect the labels of the source, for the key of a cache."""
        return {
            "files": [digest for _, _, digest in self.files],
            "keys": self.data.keys.model_dump(exclude_unset=True),
            "units": self.data.units.model_dump(),
            "units_set": sorted(self.data.units.model_fields_set),
        }

    def settings_of(self, digest: str, cutoff: float) -> str:
        """Return a hash of all settings that affect the rows of a file, except the chosen keys."""
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
        """In errors, replace fields of `data` by the fields of the source."""
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
    """Arguments with which a data set is opened."""

    sources: Sequence[Source]
    """Sources with unset fields filled in from `data`."""
    data: DataConfig
    cutoff: float
    """Cutoff radius of the neighbor lists, Å."""
    cache_folder: Path

    def extended(self, files: str | list[str] | Source) -> Opening:
        """Return the arguments with another source, or with more files of the last source."""
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
        If files do not exist or cannot be read.
    """
    source_files = []
    for number, source in enumerate(sources):
        paths = find_files(source.files)
        for path in paths:
            check_file(path, display_name(path))  # before a huge file is hashed
        files = tuple((path, display_name(path), file_hash(path)) for path in paths)
        place = f"data.sources.{number}" if len(sources) > 1 else ""
        source_files.append(SourceFiles(source, data.of(source), files, place))
    return source_files


def key_of(sources: Sequence[SourceFiles], cutoff: float) -> str:
    """Return the name of the cache of a data set."""
    data = sources[0].data
    settings = [source.as_key() for source in sources]
    content = settings[0] if len(settings) == 1 else {"sources": settings}
    return cache_key(
        cutoff=float(cutoff),
        missing=data.missing,
        ignore_forces_of=data.ignore_forces_of,
        **content,
    )


def source_numbers(sources: Sequence[SourceFiles], files: NDArray[Any]) -> NDArray[np.int64]:
    """Return the index of the source of each file, given by its index."""
    sizes = [len(source.files) for source in sources]
    return np.repeat(np.arange(len(sources)), sizes)[files]


def weight_factors(
    sources: Sequence[SourceFiles], files: NDArray[Any]
) -> NDArray[np.float64] | None:
    """Return the factor of the weight of each structure; None if it is 1 for all.

    `files` is the index of the file of each structure.
    """
    weights = np.array([source.source.weight for source in sources])
    return None if (weights == 1.0).all() else weights[source_numbers(sources, files)]


def joined(keys: Sequence[ResolvedKeys], sources: Sequence[SourceFiles]) -> ResolvedKeys:
    """Return the combined keys of all sources."""
    if len(keys) == 1:
        return keys[0]
    counts: Counter[str] = Counter()
    chosen: dict[str, str] = {}
    for resolved in keys:
        counts.update(resolved.counts)
        chosen = resolved.chosen | chosen
    notes = (
        f"{source.where}: {note}"
        for resolved, source in zip(keys, sources, strict=True)
        for note in resolved.notes
    )
    same = all(resolved.units == keys[0].units for resolved in keys)
    return ResolvedKeys(
        chosen=chosen,
        counts=dict(counts),
        n_structures=sum(resolved.n_structures for resolved in keys),
        notes=tuple(notes),
        units=keys[0].units if same else {},
    )
