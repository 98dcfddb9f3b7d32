"""Files of tensors: safetensors with a JSON header, a version, and a checksum of all bytes.

The metadata of the safetensors file have two entries: ``reann``, a JSON object with `kind`,
`format` and further entries, and ``sha256``, the hash of the whole file with these 64 digits
replaced by zeros. Therefore any change is detected. Nothing in a file is ever executed.

Files that are newer than this program are refused; older ones are converted by `UPGRADES`.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from reann import strict_json
from reann.atomic_file import replacing
from reann.errors import DamagedError, UserError
from reann.facts import (
    DEEPEST_HEADER,
    FORMAT_VERSION,
    LARGEST_FILE,
    LARGEST_HEADER,
    RENAMED,
)


class Upgrade(NamedTuple):
    """Conversion of a file to the next version."""

    header: Callable[[dict[str, Any]], dict[str, Any]]
    tensor: Callable[[str], str]
    """Returns the new name of a tensor."""


def _renamed(version: int, name: str) -> str:
    # Names start with the index of a member or, in a checkpoint, `best.` or `optimizer.exp_avg.`.
    n_owners = 2 if name.startswith("optimizer.") else 1
    *owners, name_in_owner = name.split(".", n_owners)
    old = next((old for old in RENAMED[version] if name_in_owner.startswith(old)), None)
    if old is None:
        return name
    return ".".join([*owners, RENAMED[version][old] + name_in_owner.removeprefix(old)])


UPGRADES = {n: Upgrade(lambda header: header, partial(_renamed, n)) for n in RENAMED}
"""Conversion from version n to n + 1."""
OLDEST = {"training": 2}
"""Oldest readable version, for kinds of which not all versions can be read."""

MOST_BRACKETS = 1_000_000
"""Maximum number of objects and lists in a header; more would take minutes to parse."""
NO_DIGEST = "0" * 64


def write(path: Path, kind: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a file, completely or not at all.

    Raises
    ------
    UserError
        If the disk is full, the folder cannot be written, or the file would be larger than `read`
        accepts; an existing file is not changed.
    """
    text = strict_json.dumps({"kind": kind, "format": FORMAT_VERSION, **header})
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save_tensors(flat, metadata={"reann": text, "sha256": NO_DIGEST})
    _check_size(path, content)
    digest = hashlib.sha256(content).hexdigest()
    start = _digest_position(content)
    content = content[:start] + digest.encode() + content[start + 64 :]
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _check_size(path: Path, content: bytes) -> None:
    """Raise `UserError` for a file that `read` would refuse."""
    header = struct.unpack("<Q", content[:8])[0]
    if len(content) > LARGEST_FILE or header > LARGEST_HEADER:
        raise UserError(
            f"{path.name} is not written: it is too large to be read again,"
            f" {len(content) / 1e6:.0f} MB, including a header of {header / 1e6:.0f} MB.",
            str(path),
            f"The limits are {LARGEST_FILE / 1e6:.0f} MB and {LARGEST_HEADER / 1e6:.0f} MB for the"
            " header: train with fewer structures, fewer members or a smaller network.",
        )


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read header and tensors of a file written by `write`.

    Raises
    ------
    UserError
        If the file does not exist, has another format or kind, is damaged, or is newer than this
        program.
    """
    header, version, content = _verified(Path(path))
    if header.get("kind") != kind:
        raise UserError(
            f"This file contains a {header.get('kind')}, not a {kind}.",
            str(path),
            "Use the model.reann of a run, or resume the run folder with `reann resume`.",
        )
    try:
        tensors = load_tensors(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DamagedError(f"The tensors are damaged ({error}).", str(path), REPAIR) from error
    if version < OLDEST.get(kind, version):
        raise UserError(
            f"This {kind} was started by an earlier version of reann and cannot be resumed.",
            str(path),
            "Start a new one from its potential: `reann train CONFIG --from model.reann`.",
        )
    for n in range(version, FORMAT_VERSION):
        tensors = {UPGRADES[n].tensor(name): tensor for name, tensor in tensors.items()}
    return header, tensors


def read_header(path: Path) -> dict[str, Any]:
    """Read and verify a file and return only its header."""
    return _verified(Path(path))[0]


REPAIR = "Copy the file again, or restore it from a backup; a run can be resumed from its folder."


def _verified(path: Path) -> tuple[dict[str, Any], int, bytes]:
    """Return the header in the current version, the version of the file, and its content."""
    try:
        with path.open("rb") as file:
            head = _head(file, path)
            text, digest = _metadata(head, path)
            content = head + file.read()
    except FileNotFoundError:
        raise UserError("There is no such file.", str(path), "Check the path.") from None
    except OSError as error:
        raise UserError(f"The file cannot be read ({error.strerror}).", str(path)) from error
    start = _digest_position(content)
    blank = hashlib.sha256(content[:start] + NO_DIGEST.encode())
    blank.update(memoryview(content)[start + 64 :])
    matches = content[start : start + 64] == digest.encode()
    if not matches or blank.hexdigest() != digest:
        raise DamagedError("The file is damaged: its checksum does not match.", str(path), REPAIR)
    header = _json(text, path)
    return _up_to_date(header, path), header["format"], content


def _up_to_date(header: dict[str, Any], path: Path) -> dict[str, Any]:
    version = header.get("format")
    if type(version) is int and version > FORMAT_VERSION:
        raise UserError(
            f"The file has format {version}, but this program reads formats up to"
            f" {FORMAT_VERSION}.",
            str(path),
            "Upgrade with `pip install --upgrade reann`.",
        )
    if type(version) is not int or any(n not in UPGRADES for n in range(version, FORMAT_VERSION)):
        raise DamagedError(
            f"The file has format {version}, which does not exist.", str(path), REPAIR
        )
    for n in range(version, FORMAT_VERSION):
        header = {**UPGRADES[n].header(header), "format": n + 1}
    return header


def _head(file: BinaryIO, path: Path) -> bytes:
    """Return the beginning of a safetensors file up to the end of its header.

    Raises
    ------
    UserError
        If it is not a safetensors file.
    """
    first, length = file.read(8), os.fstat(file.fileno()).st_size
    size = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
    if 2 <= size <= min(LARGEST_HEADER, length - 8):
        return first + file.read(size)
    if not first:
        raise DamagedError("The file is empty.", str(path), REPAIR)
    pickled = first.startswith((b"PK", *(b"\x80%c" % protocol for protocol in range(2, 6))))
    raise DamagedError(
        "This is not a reann file: it looks like "
        + ("a pickle or zip archive." if pickled else "another format, or it is truncated."),
        str(path),
        "Pickles are never opened; models of the original REANN can be read by `reann convert`.",
    )


def _metadata(head: bytes, path: Path) -> tuple[str, str]:
    """Return the header of reann and the checksum before the rest of the file is read."""
    metadata = _json(head[8:], path).get("__metadata__")
    metadata = metadata if isinstance(metadata, dict) else {}
    text, digest = metadata.get("reann"), metadata.get("sha256")
    if not isinstance(text, str) or not isinstance(digest, str):
        raise DamagedError(
            "This safetensors file was not written by reann.",
            str(path),
            "Models of the original REANN can be read by `reann convert`.",
        )
    length = path.stat().st_size
    if length > LARGEST_FILE:
        raise DamagedError(
            f"The file is damaged: its size is {length / 2**30:.0f} GiB, but files of reann have"
            f" at most {LARGEST_FILE / 2**30:.0f} GiB.",
            str(path),
            REPAIR,
        )
    return text, digest


def _json(text: str | bytes, path: Path) -> dict[str, Any]:
    """Parse a JSON object with limited size and nesting."""
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        too_many = decoded.count("[") + decoded.count("{") > MOST_BRACKETS
        header = None if too_many else json.loads(decoded)
    except (ValueError, RecursionError) as error:
        raise DamagedError("The header of the file is damaged.", str(path), REPAIR) from error
    level = [header] if isinstance(header, dict) else []
    for _ in range(DEEPEST_HEADER):
        inside = [item.values() if isinstance(item, dict) else item for item in level]
        level = [x for values in inside for x in values if isinstance(x, dict | list)]
    if level or not isinstance(header, dict):
        raise DamagedError("The header of the file is not valid.", str(path), REPAIR)
    return header


def _digest_position(content: bytes) -> int:
    """Return the position of the 64 digits after their key, which cannot occur inside a string."""
    key = b'"sha256":"'
    size = struct.unpack("<Q", content[:8])[0]
    start = content.find(key, 8, 8 + size)
    return start + len(key) if start >= 0 else 8
