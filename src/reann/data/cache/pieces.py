"""Reuse of the rows of a file in caches of other data sets.

A cache records which structures belong to which file, together with the settings used for reading
and the counts of the file. Another data set with the same file copies these rows, and reads only
files that are in no cache. Therefore each data set is one folder with a few mapped arrays,
regardless of the number of files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.data.cache.storage import (
    CHUNK,
    PIECES,
    UNFINISHED,
    Arrays,
    DamagedCacheError,
    open_cache,
    read_pieces,
)
from reann.quantities import is_per_atom, label_names

AXES = {
    "positions": "atom",
    "numbers": "atom",
    "n_neighbors": "atom",
    "neighbor": "edge",
    "shift": "edge",
}
"""Meaning of a row of an array; for all others but labels, a structure."""
BYTES_OF_ATOM, BYTES_OF_EDGE = 100, 10
"""Approximate sizes, which determine the number of structures copied at once."""


@dataclass(frozen=True)
class Piece:
    """The structures of one file in a cache."""

    settings: str
    """Hash of the content of the file and of the settings used for reading."""
    chosen: dict[str, str]
    """Key of each label, if the file has it."""
    first: int
    """Index of the first structure."""
    n: int
    """Number of structures."""
    counts: dict[str, Any]
    """State of `reann.data.cache.file_counts.FileCounts`."""

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Content:
    """A piece together with the arrays that contain its rows."""

    piece: Piece
    arrays: Arrays
    about: dict[str, Any]

    def blocks(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield blocks of structures, as rows by name of the array.

        `first_atom` and `first_edge` are relative to the piece; `group` and `head` are codes of
        the names in `about`.
        """
        atoms, edges = self.arrays["first_atom"], self.arrays["first_edge"]
        start, end = self.piece.first, self.piece.first + self.piece.n
        size = BYTES_OF_ATOM * atoms[start : end + 1] + BYTES_OF_EDGE * edges[start : end + 1]
        cuts = start + np.searchsorted(size, np.arange(size[0], size[-1], CHUNK))
        cuts = np.unique([*cuts.tolist(), end])
        for a, b in pairwise(cuts.tolist()):
            block = {}
            for name in self.arrays:
                bounds = {"atom": atoms, "edge": edges}.get(_axis(name))
                low, high = (a, b) if bounds is None else (bounds[a], bounds[b])
                block[name] = self.arrays[name][low:high]
            for name in ("first_atom", "first_edge"):
                block[name] = block[name] - self.arrays[name][start]
            yield block


def present_keys(chosen: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    """Return the chosen keys that a file has; the others do not affect what is read from it."""
    return {label: key for label, key in chosen.items() if key in keys}


class KnownPieces:
    """The pieces of files in all caches in a folder.

    Parameters
    ----------
    folder
        Folder of the caches.
    settings
        Settings of the requested files, see `Piece.settings`.
    """

    def __init__(self, folder: Path, settings: Collection[str]) -> None:
        self.notes: list[str] = []
        """Messages about caches that cannot be used."""
        self._pieces: dict[str, list[tuple[Path, Piece]]] = {}
        self._opened: dict[Path, tuple[Arrays, dict[str, Any]] | None] = {}
        for path in sorted(folder.glob(f"*/{PIECES}")):
            if path.parent.name.startswith(UNFINISHED):
                continue
            try:
                pieces = [Piece(**entry) for entry in read_pieces(path.parent)]
            except (DamagedCacheError, TypeError) as error:
                self._skip(path.parent, error)
                continue
            for piece in pieces:
                if piece.settings in settings:
                    self._pieces.setdefault(piece.settings, []).append((path.parent, piece))

    def counts(self, settings: str) -> dict[str, Any] | None:
        """Return the counts of a file; None if no cache has the file."""
        return next((piece.counts for _, piece in self._pieces.get(settings, [])), None)

    def content(self, settings: str, chosen: Mapping[str, str]) -> Content | None:
        """Return the rows of a file read with these keys; None if no cache has them."""
        for folder, piece in self._pieces.get(settings, []):
            if piece.chosen != present_keys(chosen, piece.counts["census"]["counts"]):
                continue
            if folder not in self._opened:
                self._opened[folder] = self._open(folder)
            opened = self._opened[folder]
            if opened is not None:
                return Content(piece, *opened)
        return None

    def _open(self, folder: Path) -> tuple[Arrays, dict[str, Any]] | None:
        try:
            return open_cache(folder)
        except FileNotFoundError:  # removed meanwhile
            return None
        except DamagedCacheError as error:
            self._skip(folder, error)
            return None

    def _skip(self, folder: Path, error: Exception) -> None:
        if folder.is_dir():
            self.notes.append(
                f"The cache of neighbor lists {folder} is damaged ({error}); its files are read"
                " again."
            )


def _axis(name: str) -> str:
    if name in label_names():
        return "atom" if is_per_atom(name) else "structure"
    return AXES.get(name, "structure")
