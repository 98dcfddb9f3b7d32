"""A folder of raw arrays: written as a stream, memory-mapped, with checksums.

Arrays are appended in blocks, so that no data set needs to fit into memory; integers are stored in
the smallest type and widened when a value needs it. The folder gets its final name when it is
complete, so a reader never sees an incomplete cache. A file that is truncated while in use raises
an error, because reading past the end of a mapped file would kill the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from reann import strict_json
from reann.errors import UserError

CACHE_VERSION = 5
"""Part of the key of a cache; increased when the meaning of its content changes."""

INDEX = "index.json"
PIECES = "pieces.json"
"""Records of each file (`reann.data.cache.pieces`); read only when another cache is built."""
UNFINISHED = "unfinished-"
CHUNK = 1 << 24
"""Bytes in memory while a file is checked or widened."""


Rows = tuple[tuple[int, ...], tuple[str, ...]]
"""Shape of a row of an array, and its possible types, smallest first."""


class DamagedCacheError(Exception):
    """The content of a cache differs from what was written."""


def cache_key(**settings: Any) -> str:
    """Return a name that identifies the settings and the version."""
    text = strict_json.dumps({"version": CACHE_VERSION, **settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class ArrayWriter:
    """An array on disk that grows along its first axis."""

    def __init__(self, path: Path, row: tuple[int, ...], types: tuple[str, ...]) -> None:
        self.path, self.row, self.rows = path, row, 0
        self._types = [np.dtype(name) for name in types]
        self._range = _range(self._types[0])
        self._stream = path.open("wb")

    def append(self, values: NDArray[Any]) -> None:
        """Append rows (n, *row)."""
        if values.dtype.kind in "iu" and values.size:
            low, high = int(values.min()), int(values.max())
            while low < self._range[0] or high > self._range[1]:
                self._widen()
        self._stream.write(np.ascontiguousarray(values, dtype=self._types[0]).tobytes())
        self.rows += len(values)

    def close(self) -> dict[str, Any]:
        """Return the entry of the index."""
        self._stream.close()
        with self.path.open("rb") as stream:
            crc32 = _checksum(stream)
        return {"dtype": self._types[0].str, "shape": [self.rows, *self.row], "crc32": crc32}

    def abandon(self) -> None:
        """Close without an entry."""
        with contextlib.suppress(OSError):  # flushing the buffer fails on a full disk
            self._stream.close()

    def _widen(self) -> None:
        self._stream.close()
        narrow, wide = self._types[0], self._types[1]
        target = self.path.with_suffix(".wide")
        with self.path.open("rb") as source, target.open("wb") as stream:
            while chunk := source.read(CHUNK):
                stream.write(np.frombuffer(chunk, dtype=narrow).astype(wide).tobytes())
        target.replace(self.path)
        self._types.pop(0)
        self._range = _range(self._types[0])
        self._stream = self.path.open("ab")


class CacheWriter:
    """Writes a cache; a context manager that removes incomplete files on failure."""

    def __init__(self, folder: Path, arrays: Mapping[str, Rows]) -> None:
        self._target = folder
        self._folder = folder.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
        self._writers: dict[str, ArrayWriter] = {}
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(folder.parent)
            self._folder.mkdir()  # with the default permissions of this user
            for name, (row, types) in arrays.items():
                self._writers[name] = ArrayWriter(self._folder / f"{name}.raw", row, types)
        except OSError as error:
            self.__exit__()
            raise _not_writable(folder.parent, error) from error

    def __enter__(self) -> CacheWriter:  # noqa: PYI034, beartype needs the class
        return self

    def append(self, **values: NDArray[Any]) -> None:
        """Append rows to the named arrays; raises `UserError` if the disk is full."""
        try:
            for name, rows in values.items():
                self._writers[name].append(rows)
        except OSError as error:
            raise _not_writable(self._target.parent, error) from error

    def finish(self, about: Mapping[str, Any], pieces: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write the index and the records of each file, and give the folder its name."""
        try:
            entries = {name: writer.close() for name, writer in self._writers.items()}
            index = {"version": CACHE_VERSION, "arrays": entries, "about": dict(about)}
            _write_checked(self._folder / PIECES, strict_json.dumps(list(pieces)))
            _write_checked(self._folder / INDEX, strict_json.dumps(index))
            try:
                self._folder.rename(self._target)
            except OSError:
                # Another process may have written the same cache first.
                if not (self._target / INDEX).exists():
                    raise
        except OSError as error:
            raise _not_writable(self._target.parent, error) from error

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.abandon()
        shutil.rmtree(self._folder, ignore_errors=True)


class Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of a cache, memory-mapped and read-only; each access checks the size of the file.

    A file that is removed or replaced remains readable for processes that have opened it.
    """

    def __init__(self) -> None:
        self._mapped: dict[str, tuple[NDArray[Any], mmap.mmap | None, Path]] = {}

    def add(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], crc32: int) -> None:
        """Map a file; raises `DamagedCacheError` if its size or checksum is wrong."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != dtype.itemsize * int(np.prod(shape)):
                raise DamagedCacheError(f"the size of {path.name} is wrong")
            if _checksum(file) != crc32:
                raise DamagedCacheError(f"the checksum of {path.name} is wrong")
            # An empty file cannot be mapped.
            content = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else None
        array = np.frombuffer(content or b"", dtype).reshape(shape)
        self._mapped[path.stem] = array, content, path

    def __getitem__(self, name: str) -> NDArray[Any]:
        array, content, path = self._mapped[name]
        # This check takes a microsecond; reading a truncated file would be a bus error.
        if content is not None and content.size() < array.nbytes:
            raise UserError(
                "The cache of neighbor lists was truncated while it was in use.",
                str(path),
                "Do not change the cache while it is in use. Continue with `reann resume`.",
            )
        return array

    def __contains__(self, name: object) -> bool:
        return name in self._mapped

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapped)

    def __len__(self) -> int:
        return len(self._mapped)


def open_cache(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the metadata of a cache.

    Raises
    ------
    FileNotFoundError
        If there is no such cache.
    DamagedCacheError
        If a size or a checksum is wrong.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    index = _read_checked(folder / INDEX)
    arrays = Arrays()
    for name, entry in index["arrays"].items():
        path = folder / f"{name}.raw"
        try:
            arrays.add(path, np.dtype(entry["dtype"]), tuple(entry["shape"]), entry["crc32"])
        except (OSError, ValueError) as error:
            raise DamagedCacheError(f"{path.name} cannot be read") from error
    return arrays, index["about"]


def read_pieces(folder: Path) -> list[dict[str, Any]]:
    """Return the records of each file in a cache; raises `DamagedCacheError` if damaged."""
    return _read_checked(folder / PIECES)


def remove_cache(folder: Path) -> None:
    """Remove a damaged cache; readers that have it open keep their mapped arrays."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _not_writable(folder.parent, error) from error


def _write_checked(path: Path, text: str) -> None:
    checked = {"crc32": zlib.crc32(text.encode()), "index": text}
    path.write_text(strict_json.dumps(checked), encoding="utf-8")


def _read_checked(path: Path) -> Any:
    """Return the content of a file written by `_write_checked`."""
    try:
        checked = json.loads(path.read_text(encoding="utf-8"))
        if zlib.crc32(checked["index"].encode()) != checked["crc32"]:
            raise DamagedCacheError("the checksum of its index is wrong")
        return json.loads(checked["index"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCacheError("its index cannot be read") from error


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.kind not in "iu":
        return 0, 0
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _checksum(stream: BinaryIO) -> int:
    checksum = 0
    while chunk := stream.read(CHUNK):
        checksum = zlib.crc32(chunk, checksum)
    return checksum


def _remove_leftovers(folder: Path) -> None:
    """Remove unfinished caches of processes that were killed more than a day ago."""
    for leftover in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # its process may have just finished
            if time.time() - leftover.stat().st_mtime > 86400:
                shutil.rmtree(leftover, ignore_errors=True)


def _not_writable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"The cache of neighbor lists cannot be written: {error.strerror or error}.",
        f"folder {folder}",
        "Free some disk space or allow writing there, or choose another folder: with data.cache"
        " for a training, with the variable TMPDIR for an evaluation.",
    )
