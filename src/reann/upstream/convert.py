"""`reann convert`: from files of the original to a `.reann` file or extended XYZ.

A model is `REANN.pth`, which holds only arrays, together with `para/`, which tells how to read
them, or an exported model `REANN_PES_*.pt`, which needs no `para/`. Neither is executed.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from reann.atomic_file import replacing
from reann.errors import UserError, listed
from reann.output_files import check_outputs
from reann.upstream import settings as inputs
from reann.upstream.archive.torchscript import is_exported, read_exported
from reann.upstream.configuration import read_configuration, write_extxyz
from reann.upstream.purpose import purpose_of
from reann.upstream.weights import potential

CHECKPOINT, DATA = "REANN.pth", "configuration"
TOLD = ("activate", "oc_activate", "cutoff")
"""Settings that an exported model tells besides the order of its elements."""
DATA_SUFFIXES = (".xyz", ".extxyz")
LARGEST_CHECKPOINT = 2**30
"""Bytes; a checkpoint of 10 elements with 3 recursions has 3 MB, optimizer included."""


def convert(
    src: Path, dst: Path, *, unit: str | None = None, dipole_definition: str | None = None
) -> None:
    """Convert a model to `.reann`, or a data file to `.xyz`.

    Parameters
    ----------
    src
        `REANN.pth` with the folder `para` beside or above it, an exported model, a file
        `configuration`, or a folder with `REANN.pth` or `configuration`.
    dst
        File to write; its ending tells what is converted.
    unit
        Of the labels, where they are (transition) dipoles or polarizabilities.
    dipole_definition
        Of a model of dipoles: center or neighbors.

    Raises
    ------
    UserError
        If there is nothing to convert, or it cannot be read without running code; if the output is
        what is converted, or cannot be written.
    """
    src, dst = Path(src), Path(dst)
    to_model = dst.suffix == ".reann"
    if not to_model and dst.suffix not in DATA_SUFFIXES:
        raise UserError(
            f"'{dst.name}' is neither a model nor data.",
            "--output",
            "Write model.reann for REANN.pth, or data.xyz for a configuration.",
        )
    if src.is_dir():
        src = src / (CHECKPOINT if to_model else DATA)
    if not src.is_file():
        raise UserError(
            f"There is no file {src.name}.",
            str(src.parent),
            f"Give {CHECKPOINT} with para/ beside it, or a file '{DATA}'.",
        )
    para = _para(src)
    settings = [] if para is None else sorted(para.iterdir())
    check_outputs({"--output": dst}, [src, *settings])
    about = {"unit": unit, "dipole_definition": dipole_definition}
    given = {name: x for name, x in about.items() if x is not None}
    if to_model:
        convert_model(src, dst, given)
    else:
        convert_data(src, dst, given)


def convert_model(src: Path, dst: Path, given: Mapping[str, str]) -> None:
    """Convert a checkpoint `REANN.pth` and the settings beside it, or an exported model.

    `given` are settings that no file of the original has.
    """
    if is_exported(src):
        weights, settings = exported(src)
        potential(weights, {**settings, **given}).save(dst)
        return
    weights = read_weights(src)
    para = _para(src)
    if para is None:
        raise UserError(
            f"The checkpoint says nothing of {inputs.PARA[0]} and {inputs.PARA[1]}.",
            str(src),
            "Put the folder para/ of the training beside it.",
        )
    settings = inputs.read_para(para)
    _check_order(weights, settings, src)
    potential(weights, {**settings, **given}).save(dst)


def exported(src: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return arrays and settings of an exported model; settings beside it may only agree.

    Raises
    ------
    UserError
        For a file that `read_exported` refuses, settings that contradict it, and without `para`
        for models that do not tell their property or activation.
    """
    weights, told = read_exported(src)
    para = _para(src)
    if para is not None:
        settings = inputs.read_para(para)
        _check_purpose(settings, told, src)
        inputs.check(settings, {name: told[name] for name in TOLD if name in told})
        _check_order(weights, settings, src)
        return weights, settings | told
    updates = any(name.startswith("density.ocmod.") for name in weights)
    needed = ("start_table", "activate", *(["oc_activate"] if updates else []))
    missing = [name for name in needed if name not in told]
    if missing:
        raise UserError(
            f"The names in the exported model do not tell {listed(missing)}.",
            str(src),
            "Put the folder para/ of the training beside it.",
        )
    return weights, told


def convert_data(src: Path, dst: Path, given: Mapping[str, str]) -> None:
    """Convert a file `configuration`; settings beside it tell the kind of coordinates and labels.

    `given` are settings that no file of the original has.
    """
    if src.name in inputs.PARA or _is_archive(src):
        raise UserError(
            f"{src.name} holds no structures.",
            str(src),
            f"Convert {CHECKPOINT} to a file .reann; its settings in para/ are read with it.",
        )
    para = _para(src)
    settings = {**(inputs.read_settings(para / inputs.PARA[0]) if para else {}), **given}
    told = settings.get("table_coor")
    if told not in (None, 0, 1):
        raise UserError(f"table_coor = {told!r} is neither 0 nor 1.", str(para))
    if "dipole_definition" in settings:
        raise UserError(
            f"dipole_definition = {settings['dipole_definition']!r} has no meaning for data.",
            "dipole_definition",
            "Leave it out.",
        )
    fractional = None if told is None else bool(told)
    with replacing(dst) as temporary, temporary.open("w", encoding="utf-8") as file:
        if write_extxyz(read_configuration(src, fractional), file, settings) == 0:
            raise UserError("The file is empty.", str(src))


def read_weights(path: Path) -> dict[str, Any]:
    """Return the state dict of a checkpoint; nothing in the file is executed.

    Raises
    ------
    UserError
        For damaged files, and pickles of more than arrays.
    """
    _check_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that no torch wrote
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises anything
        raise UserError(
            _unreadable(path, error),
            str(path),
            f"Give the {CHECKPOINT} that the training wrote; code in it is never run.",
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("reannparam"), Mapping):
        content = content["reannparam"]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise UserError(
            "The file is not a checkpoint of REANN: it has no `reannparam`.",
            str(path),
            f"Give the {CHECKPOINT} that the training wrote.",
        )
    for name, array in content.items():
        _check_stored(str(name), array, path)
    return dict(content)


def _check_size(path: Path) -> None:
    """Raise `UserError` for a file that is too large, or larger once unpacked."""
    size = path.stat().st_size
    if size > LARGEST_CHECKPOINT:
        raise UserError(
            f"The file has {size / 2**30:.1f} GiB; a checkpoint of REANN has less than 1 GiB.",
            str(path),
            f"Give the {CHECKPOINT} that the training wrote.",
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
            "The archive unpacks to more than the size of the file.",
            str(path),
            f"Give the {CHECKPOINT} that the training wrote; PyTorch does not compress it.",
        )


def _check_stored(name: str, array: torch.Tensor, path: Path) -> None:
    """Raise `UserError` for an array with more numbers than the file stores, as a stride of 0."""
    dense = array.layout == torch.strided
    if not dense or array.numel() * array.element_size() > array.untyped_storage().nbytes():
        raise UserError(
            f"The array '{name}' of shape {tuple(array.shape)} is larger than its bytes.",
            str(path),
            f"Give the {CHECKPOINT} that the training wrote.",
        )


def _unreadable(path: Path, error: Exception) -> str:
    """Say what is wrong, without the advice of torch to trust the file."""
    if isinstance(error, PermissionError):
        return f"The file cannot be read: {error.strerror}."
    if not _is_archive(path):
        return "The file is no checkpoint of PyTorch, or it is damaged."
    name = re.search(r"GLOBAL (\S+)", str(error))
    why = f": it wants to import {name[1]}" if name else ""
    return f"The file is damaged or holds more than arrays{why}."


def _check_purpose(settings: Mapping[str, Any], told: Mapping[str, Any], path: Path) -> None:
    """Compare `start_table` with what the names in an exported model tell."""
    if "start_table" in told and purpose_of(settings) != purpose_of(told):
        raise UserError(
            f"start_table is {settings.get('start_table', 0)!r}, but the exported model is one of"
            f" {purpose_of(told).output or 'energy'}.",
            str(path),
            "Give the settings with which this model was trained.",
        )


def _check_order(weights: Mapping[str, Any], settings: Mapping[str, Any], path: Path) -> None:
    """Compare `atomtype` with the order of the networks, which the original makes from it."""
    names = [name.removeprefix("module.").split(".") for name in weights]
    order = list(dict.fromkeys(n[2] for n in names if n[:2] == ["nnmod", "elemental_nets"]))
    if order != inputs.elements(settings):
        raise UserError(
            f"atomtype is {listed(settings['atomtype'])}, but the checkpoint has {listed(order)}.",
            str(path),
            "Give the settings with which this model was trained.",
        )


def _para(path: Path) -> Path | None:
    """Return the nearest folder with `input_nn`: para/ beside the file or above, or its own."""
    start = path.resolve().parent
    for folder in (start / "para", start, start.parent / "para", start.parent.parent / "para"):
        if (folder / inputs.PARA[0]).is_file():
            return folder
    return None


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2).startswith((b"PK", b"\x80"))
