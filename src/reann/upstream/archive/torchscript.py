"""Exported models of the original (TorchScript, such as REANN_PES_DOUBLE.pt), never run.

Such an archive is a zip file with a program in ``code/``, which is not even opened, the attributes
of its modules as the pickle ``data.pkl``, and the numbers of each tensor as the bytes of one entry
``data/<key>``. All sizes are compared with the bytes that are there before anything is allocated.
What is no array, the element order, the activations and whether it is an energy, is known from the
names of the modules and of their classes.
"""

from __future__ import annotations

import math
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reann.errors import UserError
from reann.upstream.archive.inert import CHECKPOINT_INSTEAD, DAMAGED, Array, Module, unpickle
from reann.upstream.settings import ACTIVATIONS

START_TABLES = {"pes": 1, "lammps": 1, "lammps_REANN": 1, "dm": 2, "tdm": 3, "pol": 4, "dos": 5}
"""What a model is of (see `purpose.PURPOSES`), by the original's folder of its program."""

LARGEST_PICKLE = 16 * 2**20
"""Bytes; a model of 10 elements with 3 recursions has 0.1 MB."""

LARGEST_CUTOFF = 1000
"""Å; what is called a cutoff and is larger is something else."""

DEEPEST = 16
"""Of modules in modules; the original has 7 levels."""


class Exported(NamedTuple):
    """What an exported model holds."""

    weights: dict[str, Tensor]
    """Under the names of the state dict, in its order."""
    settings: dict[str, Any]
    """Under the original's input names: `atomtype`, and as far as the archive tells them
    `activate`, `oc_activate`, `cutoff` and `start_table`."""


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
        For frozen models, whose arrays have no names, for files that are damaged, name anything
        that such a model does not need, or are no models of the original.
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
        """Bytes that tensors may still have: together they cannot be larger than the file."""

    def size(self, name: str) -> int | None:
        """Return the size of an entry in bytes, or None if there is none."""
        full = f"{self.root}/{name}"
        there = full in self.archive.NameToInfo
        return self.archive.getinfo(full).file_size if there else None

    def read(self, name: str, size: int | None) -> bytes:
        """Return an entry of `size` bytes; torch stores these uncompressed."""
        found = self.size(name)
        if found is None or found != size:
            raise UserError(f"The entry has {found or 'no'} bytes, not {size}.", name, DAMAGED)
        entry = self.archive.getinfo(f"{self.root}/{name}")
        self.left -= found
        if entry.compress_type != zipfile.ZIP_STORED or self.left < 0:
            raise UserError("What it unpacks to is larger than the file.", name, DAMAGED)
        return self.archive.read(entry)

    def tensor(self, array: Array, name: str) -> Tensor:
        """Return a tensor after comparing what the pickle says of it with the bytes there."""
        (dtype, key, size), offset, shape, stride = array
        end = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        if min(offset, *shape, *stride) < 0 or end >= size or not 0 < math.prod(shape) <= size:
            raise UserError(
                f"Shape {shape} with stride {stride} from {offset} does not fit {size} numbers.",
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
        raise UserError("The archive holds no module.", "data.pkl", CHECKPOINT_INSTEAD)
    found = dict(_flat(model, "", {id(model)}))
    nets = found.get("nnmod.elemental_nets")
    if not isinstance(nets, Module) or not isinstance(found.get("density"), Module):
        frozen = not any(isinstance(value, Module | Array) for value in found.values())
        raise UserError(
            "The model is frozen or optimized for inference: its arrays have lost their names."
            if frozen
            else f"{model.kind} is not a model of the original: it has no `density` or `nnmod`.",
            "",
            CHECKPOINT_INSTEAD,
        )
    weights = {
        name: entries.tensor(value, name)
        for name, value in found.items()
        if isinstance(value, Array) and name.startswith(("density.", "nnmod"))
    }
    settings: dict[str, Any] = {"atomtype": _modules(nets)}
    for part in model.kind.split("."):
        if part in START_TABLES:
            settings["start_table"] = START_TABLES[part]
    cutoff = found.get("cutoff")  # as a person wrote it, before rounding to float32
    if isinstance(cutoff, int | float) and 0 < cutoff < LARGEST_CUTOFF:
        settings["cutoff"] = cutoff
    for setting, start in (("activate", "nnmod."), ("oc_activate", "density.ocmod.")):
        kinds = {
            value.kind.split(".")[-1]
            for name, value in found.items()
            if isinstance(value, Module) and name.startswith(start) and "alpha" in value.attributes
        }
        if len(kinds) == 1 and kinds <= set(ACTIVATIONS):
            settings[setting] = kinds.pop()
    return Exported(weights, settings)


def _modules(parent: Module) -> list[str]:
    return [name for name, value in parent.attributes.items() if isinstance(value, Module)]


def _flat(module: Module, prefix: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted names and values of all attributes; a module may occur only once."""
    for name, value in module.attributes.items():
        if not re.fullmatch(r"\w{1,64}", name) or prefix.count(".") >= DEEPEST:
            raise UserError("A name is too long, or modules are nested too deeply.", fix=DAMAGED)
        yield prefix + name, value
        if isinstance(value, Module):
            if id(value) in seen:
                raise UserError("A module is in two places.", prefix + name, CHECKPOINT_INSTEAD)
            seen.add(id(value))
            yield from _flat(value, f"{prefix}{name}.", seen)
