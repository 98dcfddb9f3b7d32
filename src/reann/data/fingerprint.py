"""Fingerprints of geometries: independent of file, format and order of the atoms.

A fingerprint is a hash of elements, cell, periodicity and positions. Lengths are rounded to 1e-4 Å.
Positions are wrapped along periodic directions and sorted, so that neither the periodic image nor
the order of the atoms matters. Labels, names and non-periodic cell vectors are ignored.
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
"""Offset of the rounding, so that common decimal numbers are not at a rounding boundary."""
WINDOW = 0.00731
"""Fractions are wrapped to [-WINDOW, 1 - WINDOW), so that atoms on cell faces are not at the
boundary."""
CHUNK = 10_000
"""Structures processed at once."""
VERSION = 1
"""Version of the fingerprints in model files."""
STORED = 6
"""Bytes of each fingerprint in model files."""


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
        (atoms, 3) in Å and (atoms,), of all structures.
    cell, pbc
        (structures, 3, 3) in Å and (structures, 3).
    first_atom
        First atom of each structure, then the total number of atoms, (structures + 1,).
    """
    hashes = np.empty(len(pbc), dtype=np.uint64)
    for start in range(0, len(hashes), CHUNK):
        end = min(start + CHUNK, len(hashes))
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
            hashes[start + i] = int.from_bytes(digest.digest(), "little")
    return hashes


def draws(names: Iterable[bytes], seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each name that depends only on the name and the seed."""
    key = str(seed).encode()
    digests = [hashlib.blake2b(name, digest_size=8, key=key).digest() for name in names]
    return np.frombuffer(b"".join(digests), dtype="<u8") / 2.0**64


def encoded(prints: NDArray[np.uint64]) -> str:
    """Return the fingerprints as text: their first bytes, sorted, in base64."""
    short = np.unique(stored_part(prints)).astype("<u8")
    return base64.b64encode(short.view(np.uint8).reshape(-1, 8)[:, :STORED].tobytes()).decode()


def decoded(text: str) -> NDArray[np.uint64]:
    """Return the fingerprints in a text, as `stored_part`; raises `ValueError` if malformed."""
    content = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    whole = np.zeros((len(content) // STORED, 8), dtype=np.uint8)
    whole[:, :STORED] = content.reshape(-1, STORED)
    return whole.reshape(-1).view("<u8").astype(np.uint64)


def stored_part(prints: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the part of the fingerprints that is stored in model files."""
    return prints & np.uint64(256**STORED - 1)


def _sorted_rows(
    positions: NDArray[Any], numbers: NDArray[Any], box: NDArray[Any], sizes: NDArray[Any]
) -> NDArray[np.int64]:
    """Return element and rounded position of the atoms, sorted in each structure, (atoms, 4)."""
    system = np.repeat(np.arange(len(sizes)), sizes)
    # Non-periodic directions have zeros in the box and in its pseudo-inverse.
    fractions = np.einsum("ai,aij->aj", positions, np.linalg.pinv(box)[system])
    images = np.floor(fractions + WINDOW)
    wrapped = _rounded(positions - np.einsum("ai,aij->aj", images, box[system]))
    order = np.lexsort((wrapped[:, 2], wrapped[:, 1], wrapped[:, 0], numbers, system))
    return np.column_stack([numbers.astype(np.int64), wrapped])[order]


def _rounded(lengths: NDArray[Any]) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):  # absurdly large numbers
        return np.floor(lengths / GRID + EDGE).astype(np.int64)
