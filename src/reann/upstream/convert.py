"""`reann convert`: convert files of the original to a `.reann` file or extended XYZ.

A model is either `REANN.pth`, which contains only arrays, together with the settings in `para/`, or
an exported model `REANN_PES_*.pt`, which needs no `para/`. Neither is executed.
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
from reann.upstream.arrays import without_prefix
from reann.upstream.configuration import read_configuration, write_extxyz
from reann.upstream.fireann import OPTION
from reann.upstream.purpose import purpose_of
from reann.upstream.weights import potential

CHECKPOINT, DATA = "REANN.pth", "configuration"
FROM_NAMES = ("activate", "oc_activate", "cutoff")
"""Settings that follow from the names in an exported model, besides the order of its elements."""
DATA_SUFFIXES = (".xyz", ".extxyz")
LARGEST_CHECKPOINT = 2**30
"""Bytes; a checkpoint of 10 elements with 3 recursions has 3 MB, including the optimizer."""


def convert(
    src: Path,
    dst: Path,
    *,
    unit: str | None = None,
    dipole_definition: str | None = None,
    fireann_version: str | None = None,
) -> None:
    """Convert a model to `.reann`, or a data file to `.xyz`.

    Parameters
    ----------
    src
        `REANN.pth` with the folder `para` next to or above it, an exported model, a file
        `configuration`, or a folder with `REANN.pth` or `configuration`.
    dst
        File to write; its suffix determines what is converted.
    unit
        Unit of the labels if they are (transition) dipoles or polarizabilities.
    dipole_definition
        For a model of dipoles: center or neighbors.
    fireann_version
        For a model in an electric field: 2022-01, 2023-09, 2024-01 or 2024-04.

    Raises
    ------
    UserError
        If there is nothing to convert, it cannot be read without running code, or the output is an
        input or cannot be written.
    """
    src, dst = Path(src), Path(dst)
    to_model = dst.suffix == ".reann"
    if not to_model and dst.suffix not in DATA_SUFFIXES:
        raise UserError(
            f"'{dst.name}' has no suffix of a model or of data.",
            "--output",
            "Write model.reann for REANN.pth, or data.xyz for a configuration.",
        )
    if src.is_dir():
        src = src / (CHECKPOINT if to_model else DATA)
    if not src.is_file():
        raise UserError(
            f"There is no file {src.name}.",
            str(src.parent),
            f"Give {CHECKPOINT} with para/ next to it, or a file '{DATA}'.",
        )
    para = _para(src)
    settings = [] if para is None else sorted(para.iterdir())
    check_outputs({"--output": dst}, [src, *settings])
    options = {"unit": unit, "dipole_definition": dipole_definition, OPTION: fireann_version}
    extra_settings = {name: x for name, x in options.items() if x is not None}
    if to_model:
        convert_model(src, dst, extra_settings)
    else:
        convert_data(src, dst, extra_settings)


def convert_model(src: Path, dst: Path, extra_settings: Mapping[str, str]) -> None:
    """Convert a checkpoint `REANN.pth` and its settings, or an exported model.

    `extra_settings` are those that no file of the original has.
    """
    if is_exported(src):
        weights, settings = exported(src)
        potential(weights, {**settings, **extra_settings}).save(dst)
        return
    weights = read_weights(src)
    para = _para(src)
    if para is None:
        raise UserError(
            f"The checkpoint needs the settings {inputs.PARA[0]} and {inputs.PARA[1]}.",
            str(src),
            "Put the folder para/ of the training next to it.",
        )
    settings = inputs.read_para(para)
    _check_order(weights, settings, src)
    potential(weights, {**settings, **extra_settings}).save(dst)


def exported(src: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return arrays and settings of an exported model; settings in `para` must agree with it.

    Raises
    ------
    UserError
        If `read_exported` refuses the file, settings contradict it, or its property or activation
        is unknown and there is no `para`.
    """
    weights, from_names = read_exported(src)
    para = _para(src)
    if para is not None:
        settings = inputs.read_para(para)
        _check_purpose(settings, from_names, src)
        inputs.check(
            settings, {name: from_names[name] for name in FROM_NAMES if name in from_names}
        )
        _check_order(weights, settings, src)
        return weights, settings | from_names
    updates = any(name.startswith("density.ocmod.") for name in weights)
    needed = ("start_table", "activate", *(["oc_activate"] if updates else []))
    missing = [name for name in needed if name not in from_names]
    if missing:
        raise UserError(
            f"The exported model does not contain {listed(missing)}.",
            str(src),
            "Put the folder para/ of the training next to it.",
        )
    return weights, from_names


def convert_data(src: Path, dst: Path, extra_settings: Mapping[str, str]) -> None:
    """Convert a file `configuration`; its settings define the kind of coordinates and labels.

    `extra_settings` are those that no file of the original has.
    """
    if src.name in inputs.PARA or _is_archive(src):
        raise UserError(
            f"{src.name} contains no structures.",
            str(src),
            f"Convert {CHECKPOINT} to a .reann file; its settings in para/ are read with it.",
        )
    para = _para(src)
    settings = {**(inputs.read_settings(para / inputs.PARA[0]) if para else {}), **extra_settings}
    table_coor = settings.get("table_coor")
    if table_coor not in (None, 0, 1):
        raise UserError(f"table_coor = {table_coor!r} is neither 0 nor 1.", str(para))
    for name in ("dipole_definition", OPTION):
        if name in settings:
            raise UserError(
                f"{name} = {settings[name]!r} has no meaning for data.", name, "Remove it."
            )
    fractional = None if table_coor is None else bool(table_coor)
    with replacing(dst) as temporary, temporary.open("w", encoding="utf-8") as file:
        if write_extxyz(read_configuration(src, fractional), file, settings) == 0:
            raise UserError("The file is empty.", str(src))


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
            f"Give the {CHECKPOINT} that the training wrote; code in it is never executed.",
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
            f"The size of the file is {size / 2**30:.1f} GiB; checkpoints of REANN have less than"
            " 1 GiB.",
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
            "The unpacked archive is larger than the file.",
            str(path),
            f"Give the {CHECKPOINT} that the training wrote; PyTorch does not compress it.",
        )


def _check_stored(name: str, array: torch.Tensor, path: Path) -> None:
    """Raise `UserError` for an array with more values than stored, for example by a stride of 0."""
    dense = array.layout == torch.strided
    if not dense or array.numel() * array.element_size() > array.untyped_storage().nbytes():
        raise UserError(
            f"The array '{name}' of shape {tuple(array.shape)} is larger than its stored data.",
            str(path),
            f"Give the {CHECKPOINT} that the training wrote.",
        )


def _unreadable(path: Path, error: Exception) -> str:
    """Describe the error, without the advice of torch to trust the file."""
    if isinstance(error, PermissionError):
        return f"The file cannot be read: {error.strerror}."
    if not _is_archive(path):
        return "The file is not a checkpoint of PyTorch, or it is damaged."
    name = re.search(r"GLOBAL (\S+)", str(error))
    why = f": it would import {name[1]}" if name else ""
    return f"The file is damaged or contains more than arrays{why}."


def _check_purpose(settings: Mapping[str, Any], from_names: Mapping[str, Any], path: Path) -> None:
    """Compare `start_table` with the property of an exported model."""
    if "start_table" in from_names and purpose_of(settings) != purpose_of(from_names):
        raise UserError(
            f"start_table is {settings.get('start_table', 0)!r}, but the exported model predicts"
            f" the {purpose_of(from_names).output or 'energy'}.",
            str(path),
            "Use the settings with which this model was trained.",
        )


def _check_order(weights: Mapping[str, Any], settings: Mapping[str, Any], path: Path) -> None:
    """Compare `atomtype` with the order of the networks, which the original derives from it."""
    names = [without_prefix(name).split(".") for name in weights]
    order = list(dict.fromkeys(n[2] for n in names if n[:2] == ["nnmod", "elemental_nets"]))
    if order != inputs.elements(settings):
        raise UserError(
            f"atomtype is {listed(settings['atomtype'])}, but the checkpoint has {listed(order)}.",
            str(path),
            "Use the settings with which this model was trained.",
        )


def _para(path: Path) -> Path | None:
    """Return the nearest folder with `input_nn`: para/ next to the file or above, or its own."""
    start = path.resolve().parent
    for folder in (start / "para", start, start.parent / "para", start.parent.parent / "para"):
        if (folder / inputs.PARA[0]).is_file():
            return folder
    return None


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2).startswith((b"PK", b"\x80"))
