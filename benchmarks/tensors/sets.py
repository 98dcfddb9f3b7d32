"""The data sets of tensors and fields, and which structures train, validate and test.

Structures of one geometry are on one side. Test structures choose nothing: `judge` reads them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase.io.extxyz import write_xyz
from branches import on_one_branch
from local_fields import of_mean_field

SEED = 20261129
"""Of the draws."""
VALID, TEST = 0.1, 0.2
"""Fractions of the geometries of a set."""
PARTS = ("train", "valid", "test", "other_field")
Frames = list[ase.Atoms]


def unchanged(frames: Frames) -> Frames:
    """Return structures as they are."""
    return frames


def ions(frames: Frames) -> Frames:
    """Return Zundel cations with their charge; positions are those from the center of mass."""
    for atoms in frames:
        atoms.info["charge"] = 1.0
    return frames


@dataclass(frozen=True)
class DataSet:
    """One set of structures with its labels."""

    title: str
    source: str
    """Repository and commit that the structures come from, converted to eV and Å."""
    files: tuple[str, ...]
    """Below the data folder."""
    model: dict[str, Any]
    """Fields of the section `model`."""
    minutes: float
    """Processor time of one core."""
    training: dict[str, Any] = field(default_factory=dict)
    """Fields of the section `training` besides the number of epochs."""
    units: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Frames], Frames] = unchanged
    other_fields: str | None = None
    """File with geometries in several fields: some fields train, the others are a test."""


TENSORS: dict[str, Any] = {"heads": [], "outputs": ["dipole", "polarizability"]}
IN_FIELDS: dict[str, Any] = {"field": True, "outputs": ["dipole"], "cutoff": 4.5}
"""Polarizabilities are derivatives of the dipoles; only liquid water trains on their labels."""
_WATER = "dilkins/TENSOAP 7ee93d0"
_FIREANN = "zhangylch/FIREANN 06d2977"
FIELD_UNITS = {"polarizability": "e*Ang^2/V"}

SETS: dict[str, DataSet] = {
    "monomer": DataSet(
        "Water", _WATER, ("water-tensors/monomer_train.xyz.gz",), TENSORS, minutes=6.0
    ),
    "dimer": DataSet(
        "Water dimer",
        _WATER,
        ("water-tensors/dimer_train.xyz.gz",),
        TENSORS | {"cutoff": 10.0},
        minutes=8.0,
    ),
    "zundel": DataSet(
        "Zundel cation",
        _WATER,
        ("water-tensors/zundel_train.xyz.gz",),
        TENSORS | {"cutoff": 6.0},
        minutes=8.0,
        prepare=ions,
    ),
    "bulk": DataSet(
        "Liquid water",
        _WATER,
        ("water-tensors/bulk_train.xyz.gz",),
        TENSORS | {"induction": True},
        minutes=30.0,
        prepare=of_mean_field,
    ),
    "qm7b": DataSet(
        "QM7b, CCSD",
        "brucefan1983/GPUMD-Tutorials bca2d7e",
        ("qm7b-ccsd-tensors/train.xyz.gz",),
        TENSORS,
        minutes=10.0,
    ),
    "nma-field": DataSet(
        "N-methylacetamide in fields",
        _FIREANN,
        ("nma-field/train.xyz.gz", "nma-field/val.xyz.gz"),
        IN_FIELDS,
        minutes=12.0,
        units=FIELD_UNITS,
        other_fields="nma-field/same_geometry_other_field.xyz.gz",
    ),
    "water-field": DataSet(
        "Liquid water in fields",
        "zhangylch/FIREANN b078dc9",
        ("water-field/train.xyz.gz",),
        IN_FIELDS | {"outputs": ["dipole", "polarizability"]},
        minutes=12.0,
        units=FIELD_UNITS,
        prepare=on_one_branch,
        other_fields="water-field/field_sweep_one_geometry.xyz.gz",
    ),
}


def split(one: DataSet, data: Path) -> dict[str, Frames]:
    """Return the structures of each part."""
    groups = _by_geometry(one.prepare(_read(data, one.files)))
    names = list(groups)
    order = [names[i] for i in np.random.default_rng(SEED).permutation(len(names))]
    n_test, n_valid = round(TEST * len(order)), round(VALID * len(order))
    ends = {"test": (0, n_test), "valid": (n_test, n_test + n_valid)}
    ends["train"] = (n_test + n_valid, len(order))
    chosen = {part: order[slice(*ends[part])] for part in ("train", "valid", "test")}
    parts = {part: [a for name in keys for a in groups[name]] for part, keys in chosen.items()}
    if one.other_fields:
        swept = _by_geometry(one.prepare(_read(data, (one.other_fields,))))
        known = [a for name, frames in swept.items() if name in chosen["train"] for a in frames]
        new = [a for name, frames in swept.items() if name not in groups for a in frames]
        # A geometry that occurs in this file alone trains in every second field.
        parts["train"] += new[::2]
        parts["other_field"] = known + new[1::2]
    return parts


def write(frames: Frames, file: Path) -> None:
    """Write structures."""
    with gzip.open(file, "wt", encoding="utf-8") as stream:
        write_xyz(stream, frames)


def _read(data: Path, files: tuple[str, ...]) -> Frames:
    frames = []
    for file in files:
        with gzip.open(data / file, "rt", encoding="utf-8") as stream:
            frames += ase.io.read(stream, ":", format="extxyz")
    for atoms in frames:
        # Rounding of the source leaves some of them slightly asymmetric.
        alpha = np.reshape(atoms.info["polarizability"], (3, 3))
        atoms.info["polarizability"] = (0.5 * (alpha + alpha.T)).ravel()
    return frames


def _by_geometry(frames: Frames) -> dict[str, Frames]:
    groups: dict[str, Frames] = {}
    for atoms in frames:
        arrays = (atoms.numbers, (atoms.positions - atoms.positions[0]).round(4) + 0.0)
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
        groups.setdefault(digest.hexdigest(), []).append(atoms)
    return groups
