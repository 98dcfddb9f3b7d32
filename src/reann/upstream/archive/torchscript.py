"""Exported models of the original (TorchScript, such as REANN_PES_DOUBLE.pt), never executed.

Such an archive is a zip file with a program in ``code/``, which is not opened, the attributes of
its modules in the pickle ``data.pkl``, and the values of each tensor in an entry ``data/<key>``.
All sizes are checked before memory is allocated. The order of the elements, the activations and the
property follow from the names of the modules and their classes.
"""

from __future__ import annotations

import math
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reann.errors import UserError, listed
from reann.upstream.archive.inert import CHECKPOINT_INSTEAD, DAMAGED, Array, Module, unpickle
from reann.upstream.settings import ACTIVATIONS

START_TABLES = {"pes": 1, "lammps": 1, "lammps_REANN": 1, "dm": 2, "tdm": 3, "pol": 4, "dos": 5}
"""Property of a model (see `purpose.PURPOSES`), by the folder of its program in the original."""

LARGEST_PICKLE = 16 * 2**20
"""Bytes; a model of 10 elements with 3 recursions has 0.1 MB."""

LARGEST_CUTOFF = 1000
"""Å; a larger value is not a cutoff."""

DEEPEST = 16
"""Maximum nesting of modules; the original has 7 levels."""


class Exported(NamedTuple):
    """Content of an exported model."""

    weights: dict[str, Tensor]
    """Arrays under the names of the state dict, in its order."""
    settings: dict[str, Any]
    """Settings under the input names of the original: `atomtype`, and if known `activate`,
    `oc_activate`, `cutoff` and `start_table`."""


def is_exported(path: Path) -> bool:
    """Return whether a file is a TorchScript archive that can be listed, whole or frozen."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.split("/", 1)[-1] == "constants.pkl" for name in archive.namelist())
    except (OSError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile):
        return False


def read_exported(path: Path) -> Exported:
    """Read an exported model; nothing in the file is executed.

    Raises
    ------
    UserError
        If the model is frozen, so that its arrays have no names, or if the file is damaged, has
        unexpected names, or is not a model of the original.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(Entries(archive, path.stat().st_size))
    except UserError as error:
        where = f"{path}, {error.where}" if error.where else str(path)
        raise UserError(error.what, where, error.fix) from error
    except Exception as error:  # a damaged archive raises anything
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(f"The file is damaged: {reason}.", str(path), DAMAGED) from error


class Entries:
    """The entries of an archive, by their names without the leading folder."""

    def __init__(self, archive: zipfile.ZipFile, file_size: int) -> None:
        self.archive = archive
        self.root = archive.namelist()[0].split("/", 1)[0]
        self.left = file_size
        """Remaining bytes for tensors, which cannot be larger than the file in total."""

    def size(self, name: str) -> int | None:
        """Return the size of an entry in bytes, or None if there is none."""
        full = f"{self.root}/{name}"
        exists = full in self.archive.NameToInfo
        return self.archive.getinfo(full).file_size if exists else None

    def read(self, name: str, size: int | None) -> bytes:
        """Return an entry of `size` bytes; torch stores these uncompressed."""
        actual = self.size(name)
        if actual is None or actual != size:
            raise UserError(f"The entry has {actual or 'no'} bytes, not {size}.", name, DAMAGED)
        entry = self.archive.getinfo(f"{self.root}/{name}")
        self.left -= actual
        if entry.compress_type != zipfile.ZIP_STORED or self.left < 0:
            raise UserError("The unpacked entry is larger than the file.", name, DAMAGED)
        return self.archive.read(entry)

    def tensor(self, array: Array, name: str) -> Tensor:
        """Return a tensor after checking its description in the pickle against the data."""
        (dtype, key, size), offset, shape, stride = array
        end = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        if min(offset, *shape, *stride) < 0 or end >= size or not 0 < math.prod(shape) <= size:
            raise UserError(
                f"Shape {shape} with stride {stride} from {offset} exceeds the {size} values.",
                name,
                DAMAGED,
            )
        numbers = np.frombuffer(self.read(f"data/{key}", size * dtype.itemsize), dtype)
        whole = torch.from_numpy(numbers.astype(dtype.newbyteorder("=")))  # a copy, writable
        return whole.as_strided(shape, stride, offset).contiguous()


def _read(entries: Entries) -> Exported:
    order = entries.size("byteorder")  # older files have none
    if order is not None and entries.read("byteorder", order) != b"little":
        raise UserError("The bytes are in big-endian order.", "byteorder", CHECKPOINT_INSTEAD)
    size = entries.size("data.pkl")
    if size is None or size > LARGEST_PICKLE:
        raise UserError("There is no such entry, or it is too large.", "data.pkl", DAMAGED)
    model = unpickle(entries.read("data.pkl", size))
    if not isinstance(model, Module):
        raise UserError("The archive contains no module.", "data.pkl", CHECKPOINT_INSTEAD)
    by_name = dict(_flat(model, "", {id(model)}))
    nets = by_name.get("nnmod.elemental_nets")
    if not isinstance(nets, Module) or not isinstance(by_name.get("density"), Module):
        frozen = not any(isinstance(value, Module | Array) for value in by_name.values())
        raise UserError(
            "The model is frozen or optimized for inference, so its arrays have no names."
            if frozen
            else f"{model.kind} is not a model of the original: it has no `density` or `nnmod`.",
            "",
            CHECKPOINT_INSTEAD,
        )
    weights = {
        name: entries.tensor(value, name)
        for name, value in by_name.items()
        if isinstance(value, Array) and name.startswith(("density.", "nnmod"))
    }
    settings: dict[str, Any] = {"atomtype": _modules(nets)}
    for part in model.kind.split("."):
        if part in START_TABLES:
            settings["start_table"] = START_TABLES[part]
    cutoff = by_name.get("cutoff")  # the original number, before rounding to float32
    if isinstance(cutoff, int | float) and 0 < cutoff < LARGEST_CUTOFF:
        settings["cutoff"] = cutoff
    return Exported(weights, settings | _activations(by_name))


def _activations(by_name: Mapping[str, Any]) -> dict[str, str]:
    """Return `activate` and `oc_activate`, if all activations of a kind of network are equal."""
    settings: dict[str, str] = {}
    for setting, start in (("activate", "nnmod."), ("oc_activate", "density.ocmod.")):
        kinds = {
            value.kind.split(".")[-1]
            for name, value in by_name.items()
            if isinstance(value, Module) and name.startswith(start) and "alpha" in value.attributes
        }
        if unknown := kinds - set(ACTIVATIONS):
            raise UserError(
                f"The model has the activation {min(unknown)}; {listed(ACTIVATIONS)} can be"
                " converted.",
                start.rstrip("."),
                "Models with other activations have to be trained again.",
            )
        if len(kinds) == 1:
            settings[setting] = kinds.pop()
    return settings


def _modules(parent: Module) -> list[str]:
    return [name for name, value in parent.attributes.items() if isinstance(value, Module)]


def _flat(module: Module, prefix: str, visited: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted names and values of all attributes; a module may occur only once."""
    for name, value in module.attributes.items():
        if not re.fullmatch(r"\w{1,64}", name) or prefix.count(".") >= DEEPEST:
            raise UserError("A name is too long or modules are nested too deeply.", fix=DAMAGED)
        yield prefix + name, value
        if isinstance(value, Module):
            if id(value) in visited:
                raise UserError("A module occurs twice.", prefix + name, CHECKPOINT_INSTEAD)
            visited.add(id(value))
            yield from _flat(value, f"{prefix}{name}.", visited)
