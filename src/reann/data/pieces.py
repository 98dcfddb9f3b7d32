"""The piece of a cache that was read from one file, which the caches of other data sets copy.

A cache records which structures are of which file, with the settings that the file was read with
and what was counted meanwhile. A data set that has the same file copies these rows, and reads only
the files that no cache knows. So every data set is one folder of a few mapped arrays, however many
files it was read from, and batches are gathered as from a single file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.data.cache import (
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
"""What a row of an array belongs to; that of all others but labels to a structure."""
BYTES_OF_ATOM, BYTES_OF_EDGE = 100, 10
"""About; they decide how many structures are copied at once."""


@dataclass(frozen=True)
class Piece:
    """Which structures of a cache are those of one file."""

    settings: str
    """Key of the content of the file and of the settings that it was read with."""
    chosen: dict[str, str]
    """Key of each label in the file, as far as the file has the key."""
    first: int
    """The first structure."""
    n: int
    """The number of structures."""
    counts: dict[str, Any]
    """State of `reann.data.counts.FileCounts`."""

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Content:
    """A piece with the arrays that hold its rows."""

    piece: Piece
    arrays: Arrays
    about: dict[str, Any]

    def blocks(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield the rows of some structures at once, by array.

        `first_atom` and `first_edge` count within the piece; `group` and `head` are codes of the
        names in `about`.
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


def held(chosen: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    """Return the chosen keys that a file has; the others change nothing in what is read from it."""
    return {label: key for label, key in chosen.items() if key in keys}


class KnownPieces:
    """The pieces of files that the caches in a folder have.

    Parameters
    ----------
    folder
        Of all caches.
    settings
        Those of the files that are looked for, as `Piece.settings`.
    """

    def __init__(self, folder: Path, settings: Collection[str]) -> None:
        self.notes: list[str] = []
        """What the user should know about caches that cannot be used."""
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
        """Return what was counted in a file, None where no cache knows the file."""
        return next((piece.counts for _, piece in self._pieces.get(settings, [])), None)

    def content(self, settings: str, chosen: Mapping[str, str]) -> Content | None:
        """Return the rows of a file for these keys of the labels, None where no cache has them."""
        for folder, piece in self._pieces.get(settings, []):
            if piece.chosen != held(chosen, piece.counts["census"]["counts"]):
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
                f"The cache of neighbor lists {folder} is damaged ({error}): its files are read"
                " again."
            )


def _axis(name: str) -> str:
    if name in label_names():
        return "atom" if is_per_atom(name) else "structure"
    return AXES.get(name, "structure")
