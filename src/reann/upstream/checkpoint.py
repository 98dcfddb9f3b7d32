"""Checkpoints of a training of the original, which are read only as arrays."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from reann.errors import UserError

CHECKPOINT = "REANN.pth"
CHECKPOINTS = {CHECKPOINT: "reannparam", "EANN.pth": "eannparam", "SWA_REANN.pth": "reannparam"}
"""Files of a training in the order of preference, and the name of the arrays in them."""
LARGEST_CHECKPOINT = 2**30
"""Bytes; a checkpoint of 10 elements with 3 recursions has 3 MB, including the optimizer."""


def read_weights(path: Path) -> dict[str, Any]:
    """Return the state dict of a checkpoint; nothing in the file is executed.

    Raises
    ------
    UserError
        If the file is damaged, or a pickle of more than arrays.
    """
    _check_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that were not written by torch
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises anything
        raise UserError(
            _unreadable(path, error),
            str(path),
            f"Use the {CHECKPOINT} that the training wrote; code in it is never executed.",
        ) from error
    for name in dict.fromkeys(CHECKPOINTS.values()):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise UserError(
            "The file is not a checkpoint of REANN: it has no `reannparam`.",
            str(path),
            f"Use the {CHECKPOINT} that the training wrote.",
        )
    for name, array in content.items():
        _check_stored(str(name), array, path)
    return dict(content)


def _check_size(path: Path) -> None:
    """Raise `UserError` for a file that is too large, or larger once unpacked."""
    size = path.stat().st_size
    if size > LARGEST_CHECKPOINT:
        raise UserError(
            f"The size of the file is {size / 2**30:.1f} GiB; checkpoints of REANN have less than"
            " 1 GiB.",
            str(path),
            f"Use the {CHECKPOINT} that the training wrote.",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception:  # noqa: BLE001 - not an archive, or a damaged one, which PyTorch refuses
        return
    # PyTorch stores its entries uncompressed.
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > size:
        raise UserError(
            "The unpacked archive is larger than the file.",
            str(path),
            f"Use the {CHECKPOINT} that the training wrote; PyTorch does not compress it.",
        )


def _check_stored(name: str, array: torch.Tensor, path: Path) -> None:
    """Raise `UserError` for an array with more values than stored, for example by a stride of 0."""
    dense = array.layout == torch.strided
    if not dense or array.numel() * array.element_size() > array.untyped_storage().nbytes():
        raise UserError(
            f"The array '{name}' of shape {tuple(array.shape)} is larger than its stored data.",
            str(path),
            f"Use the {CHECKPOINT} that the training wrote.",
        )


def _unreadable(path: Path, error: Exception) -> str:
    """Describe the error, without the advice of torch to trust the file."""
    if isinstance(error, PermissionError):
        return f"The file cannot be read: {error.strerror}."
    if not is_archive(path):
        return "The file is not a checkpoint of PyTorch, or it is damaged."
    name = re.search(r"GLOBAL (\S+)", str(error))
    why = f": it would import {name[1]}" if name else ""
    return f"The file is damaged or contains more than arrays{why}."


def is_archive(path: Path) -> bool:
    """Whether a file begins like an archive or a pickle of PyTorch."""
    with path.open("rb") as file:
        return file.read(2).startswith((b"PK", b"\x80"))
