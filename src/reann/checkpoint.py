"""Files of tensors: safetensors with a JSON header, a version, and a checksum over every byte.

Layout: a safetensors file whose metadata hold one entry, ``reann``, a JSON object with `kind`,
`format` and whatever the writer adds, and one entry ``sha256``: the digest of the whole file with
these 64 digits replaced by zeros. So no bit of it can change without being noticed, and nothing
in it is ever executed.

A newer file than this program is refused; an older one is brought up to date by `UPGRADES`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from reann.errors import UserError

FORMAT_VERSION = 1
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From the header of version n to that of n + 1."""

LARGEST_HEADER = 100_000_000
NO_DIGEST = "0" * 64


def write(path: Path, kind: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a file so that it is either there completely or not at all.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written; the old file is untouched.
    """
    text = json.dumps({"kind": kind, "format": FORMAT_VERSION, **header})
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save_tensors(flat, metadata={"reann": text, "sha256": NO_DIGEST})
    digest = hashlib.sha256(content).hexdigest()
    start = _digest_position(content)
    content = content[:start] + digest.encode() + content[start + 64 :]
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read header and tensors of a file written by `write`.

    Raises
    ------
    UserError
        If the file is absent, not of this format or kind, damaged, or newer than this program.
    """
    header, content = _verified(Path(path))
    if header.get("kind") != kind:
        raise UserError(
            f"This file holds a {header.get('kind')}, not a {kind}.",
            str(path),
            "Give the model.reann of a run, or resume the run folder with `reann resume`.",
        )
    try:
        return header, load_tensors(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"The tensors are damaged ({error}).", str(path), REPAIR) from error


def read_header(path: Path) -> dict[str, Any]:
    """Read and verify a file, return its header only."""
    return _verified(Path(path))[0]


REPAIR = "Copy the file again, or restore it from a backup; a run can be resumed from its folder."


def _verified(path: Path) -> tuple[dict[str, Any], bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError("There is no such file.", str(path), "Check the path.") from None
    except OSError as error:
        raise UserError(f"The file cannot be read ({error.strerror}).", str(path)) from error
    metadata = _metadata(content, path)
    text, digest = metadata.get("reann"), metadata.get("sha256")
    if not isinstance(text, str) or not isinstance(digest, str):
        raise UserError(
            "This is a safetensors file, but not one of reann.",
            str(path),
            "Original REANN models are read by `reann convert`.",
        )
    start = _digest_position(content)
    blank = content[:start] + NO_DIGEST.encode() + content[start + 64 :]
    if hashlib.sha256(blank).hexdigest() != digest or content[start : start + 64] != digest.encode():
        raise UserError("The file is damaged: its checksum does not match.", str(path), REPAIR)
    header = json.loads(text)
    version = header.get("format")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UserError(
            f"The file has format {version}; this program reads formats up to {FORMAT_VERSION}.",
            str(path),
            "Upgrade with `pip install --upgrade reann`.",
        )
    for old in range(version, FORMAT_VERSION):
        header = UPGRADES[old](header)
    return header, content


def _metadata(content: bytes, path: Path) -> dict[str, Any]:
    size = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    if not 2 <= size <= min(LARGEST_HEADER, len(content) - 8):
        looks = "a pickle or zip archive" if content[:2] in (b"PK", b"\x80\x02") else "truncated"
        raise UserError(
            f"This is not a reann file; it looks like {looks} or another format.",
            str(path),
            "Pickles are never opened here; original REANN models are read by `reann convert`.",
        )
    try:
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except (ValueError, AttributeError, RecursionError) as error:
        raise UserError("The header of the file is damaged.", str(path), REPAIR) from error
    return metadata if isinstance(metadata, dict) else {}


def _digest_position(content: bytes) -> int:
    """Return where the 64 digits stand: after the key, which no JSON text inside a string equals."""
    key = b'"sha256":"'
    size = struct.unpack("<Q", content[:8])[0]
    start = content.find(key, 8, 8 + size)
    return start + len(key) if start >= 0 else 8


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it, flushed to disk, at the end.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise UserError(
            f"{path.name} could not be written: {error.strerror or error}.",
            str(path.parent),
            "Free some space or choose another folder; the previous file is untouched.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
