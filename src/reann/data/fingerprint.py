"""Fingerprints of geometries: equal for the same structure in another file, order or format.

A fingerprint is a hash of species, cell, periodicity and positions. Lengths are rounded to 1e-4 Å.
Positions are wrapped along periodic directions and sorted, so that neither the periodic image nor
the order of the atoms matters. Labels, names and cell vectors without periodicity do not enter.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID = 1e-4
"""Å."""
EDGE = 0.54568584
"""Offset of the rounding: decimal numbers and simple fractions of them are not on its edges."""
WINDOW = 0.00731
"""Positions are wrapped to fractions from -WINDOW on: atoms on the faces are not on the edge."""
CHUNK = 10_000
"""Structures at once."""
VERSION = 1
"""Of the fingerprints in files of potentials."""
STORED = 6
"""Bytes of each fingerprint in files of potentials."""


def fingerprints(
    positions: NDArray[Any],
    numbers: NDArray[Any],
    cell: NDArray[Any],
    pbc: NDArray[Any],
    first_atom: NDArray[Any],
) -> NDArray[np.uint64]:
    """Return a fingerprint of each structure, (structures,).

    Parameters
    ----------
    positions, numbers
        Of all atoms, (atoms, 3) in Å and (atoms,).
    cell, pbc
        (structures, 3, 3) in Å and (structures, 3).
    first_atom
        First atom of each structure and the number of all atoms, (structures + 1,).
    """
    found = np.empty(len(pbc), dtype=np.uint64)
    for start in range(0, len(found), CHUNK):
        end = min(start + CHUNK, len(found))
        atoms = slice(first_atom[start], first_atom[end])
        sizes = np.diff(first_atom[start : end + 1])
        periodic = np.asarray(pbc[start:end], dtype=bool)
        box = np.where(periodic[:, :, None], cell[start:end], 0.0)
        rows = _sorted_rows(positions[atoms], numbers[atoms], box, sizes)
        frames = np.concatenate([_rounded(box).reshape(len(box), 9), periodic], axis=1)
        last = np.cumsum(sizes)
        for i, (a, b) in enumerate(zip(last - sizes, last, strict=True)):
            digest = hashlib.blake2b(frames[i].tobytes(), digest_size=8)
            digest.update(rows[a:b].tobytes())
            found[start + i] = int.from_bytes(digest.digest(), "little")
    return found


def draws(names: Iterable[bytes], seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each name, which depends on the name and the seed only."""
    key = str(seed).encode()
    digests = [hashlib.blake2b(name, digest_size=8, key=key).digest() for name in names]
    return np.frombuffer(b"".join(digests), dtype="<u8") / 2.0**64


def encoded(prints: NDArray[np.uint64]) -> str:
    """Return the fingerprints as text: the first bytes of each, sorted, in base64."""
    short = np.unique(stored_part(prints)).astype("<u8")
    return base64.b64encode(short.view(np.uint8).reshape(-1, 8)[:, :STORED].tobytes()).decode()


def decoded(text: str) -> NDArray[np.uint64]:
    """Return the fingerprints of a text, as `stored_part`; `ValueError` if it is no such text."""
    content = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    whole = np.zeros((len(content) // STORED, 8), dtype=np.uint8)
    whole[:, :STORED] = content.reshape(-1, STORED)
    return whole.reshape(-1).view("<u8").astype(np.uint64)


def stored_part(prints: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the part of the fingerprints that is stored in files."""
    return prints & np.uint64(256**STORED - 1)


def _sorted_rows(
    positions: NDArray[Any], numbers: NDArray[Any], box: NDArray[Any], sizes: NDArray[Any]
) -> NDArray[np.int64]:
    """Return species and rounded position of the atoms, sorted in each structure, (atoms, 4)."""
    system = np.repeat(np.arange(len(sizes)), sizes)
    # Directions that are not periodic have zeros in the box and in its pseudo-inverse.
    fractions = np.einsum("ai,aij->aj", positions, np.linalg.pinv(box)[system])
    images = np.floor(fractions + WINDOW)
    wrapped = _rounded(positions - np.einsum("ai,aij->aj", images, box[system]))
    order = np.lexsort((wrapped[:, 2], wrapped[:, 1], wrapped[:, 0], numbers, system))
    return np.column_stack([numbers.astype(np.int64), wrapped])[order]


def _rounded(lengths: NDArray[Any]) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):  # absurdly large numbers
        return np.floor(lengths / GRID + EDGE).astype(np.int64)
