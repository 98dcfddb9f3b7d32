"""The `.reann` file of a potential or an ensemble: models and their metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from reann import checkpoint
from reann.errors import UserError, listed
from reann.model import Reann
from reann.model.restore import check_finite, description, restore

KIND = "potential"
Member = tuple[Reann, dict[str, Any]]
"""A model and its metadata."""


def write_members(path: str | Path, members: Sequence[Member]) -> None:
    """Write one file for all members."""
    header = description(members[0][0]) | {"members": [metadata for _, metadata in members]}
    tensors = {
        f"{i}.{name}": tensor
        for i, (model, _) in enumerate(members)
        for name, tensor in model.state_dict().items()
    }
    checkpoint.write(Path(path), KIND, header, tensors)


def read_members(path: Path) -> list[Member]:
    """Read all members of a file; nothing in it is executed.

    Raises
    ------
    UserError
        If the file does not exist, is damaged, of another kind, or newer than this program, if the
        header does not agree with the tensors, or if these are not finite.
    """
    header, tensors = checkpoint.read(path, KIND)
    check_finite(tensors, str(path))
    try:
        return _members(header, tensors)
    except ValueError as error:
        raise UserError(
            f"The header does not agree with the content of the file: {error}.",
            str(path),
            checkpoint.REPAIR,
        ) from error


def _members(header: dict[str, Any], tensors: dict[str, Tensor]) -> list[Member]:
    """Return the members of a file, whose tensors are named `0.heads...`, `1.heads...`."""
    metadata = header.get("members")
    if not isinstance(metadata, list) or not all(isinstance(about, dict) for about in metadata):
        raise ValueError("it has no members")
    by_member: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        member, _, rest = name.partition(".")
        by_member.setdefault(member, {})[rest] = tensor
    if sorted(by_member) != sorted(str(i) for i in range(len(metadata))):
        raise ValueError(
            f"it has {len(metadata)} members, the tensors are of {listed(sorted(by_member))}"
        )
    return [(restore(header, by_member[str(i)]), about) for i, about in enumerate(metadata)]
