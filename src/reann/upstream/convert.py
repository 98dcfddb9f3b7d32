"""`reann convert`: convert files of the original to a `.reann` file or extended XYZ.

A model is either `REANN.pth`, which contains only arrays, together with the settings in `para/`, or
an exported model `REANN_PES_*.pt`, which needs no `para/`. Neither is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reann.atomic_file import replacing
from reann.errors import UserError, listed
from reann.output_files import check_outputs
from reann.upstream import settings as inputs
from reann.upstream.archive.torchscript import is_exported, read_exported
from reann.upstream.arrays import without_prefix
from reann.upstream.checkpoint import CHECKPOINT, CHECKPOINTS, is_archive, read_weights
from reann.upstream.configuration import Configuration, write_extxyz
from reann.upstream.fireann import FIELD_ARRAY, OPTION
from reann.upstream.purpose import NUMBERS, purpose_of
from reann.upstream.weights import potential

DATA = "configuration"
COORDINATES = {"cartesian": False, "fractional": True}
FROM_NAMES = ("activate", "oc_activate", "cutoff")
"""Settings that follow from the names in an exported model, besides the order of its elements."""
DATA_SUFFIXES = frozenset({".xyz", ".extxyz"})
BRANCHES = (
    "Branches of the original may differ in what the arrays do not show: compare the errors of"
    " `reann evaluate` on the training data with those in nn.err."
)
NEEDED = {"atomtype": "input_density", "activate": "input_nn", "oc_activate": "input_nn"}
"""Files of settings that may be absent from them."""


def convert(
    src: Path,
    dst: Path,
    *,
    unit: str | None = None,
    dipole_definition: str | None = None,
    fireann_version: str | None = None,
    coordinates: str | None = None,
) -> list[str]:
    """Convert a model to `.reann`, or a data file to `.xyz`; return sentences about the result.

    Parameters
    ----------
    src
        `REANN.pth`, `EANN.pth` or `SWA_REANN.pth` with the folder `para` next to or above it, an
        exported model, a file `configuration`, or a folder with one of these.
    dst
        File to write; its suffix determines what is converted.
    unit
        Unit of the labels if they are (transition) dipoles or polarizabilities.
    dipole_definition
        For a model of dipoles: center or neighbors.
    fireann_version
        For a model in an electric field: 2022-01, 2023-09, 2024-01 or 2024-04.
    coordinates
        Of data: cartesian or fractional; otherwise `table_coor` in `para/input_nn` says it.

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
        names = CHECKPOINTS if to_model else (DATA,)
        src = next(
            (src / name for name in names if (src / name).is_file()), src / next(iter(names))
        )
    if not src.is_file():
        raise UserError(
            f"There is no file {src.name}.",
            str(src.parent),
            f"Use {CHECKPOINT} with para/ beside it, or a file '{DATA}'.",
        )
    para = _para(src)
    settings = [] if para is None else sorted(para.iterdir())
    check_outputs({"--output": dst}, [src, *settings])
    if not DATA_SUFFIXES.isdisjoint(src.suffixes):
        raise UserError(
            "This is a file of structures, which can be used directly.",
            str(src),
            "Train on it, or check it with `reann check`; only files of the original REANN are"
            " converted.",
        )
    options = {"unit": unit, "dipole_definition": dipole_definition, OPTION: fireann_version}
    extra_settings = {name: x for name, x in options.items() if x is not None}
    if coordinates is not None and (to_model or coordinates not in COORDINATES):
        raise UserError(
            f"coordinates = {coordinates!r} has no meaning{' for a model' if to_model else ''}.",
            "--coordinates",
            "Set cartesian or fractional for data, and nothing for a model.",
        )
    with _named_files(src, para):
        if to_model:
            return convert_model(src, dst, extra_settings)
        fractional = None if coordinates is None else COORDINATES[coordinates]
        return convert_data(src, dst, extra_settings, fractional)


@contextmanager
def _named_files(src: Path, para: Path | None) -> Iterator[None]:
    """Complete an error that names a setting or an array with the file that has it."""
    try:
        yield
    except UserError as error:
        where = error.where
        settings = {} if para is None else inputs.lines_of(para)
        if where in settings:
            where = settings[where]
        elif para is not None and where in (*inputs.PARA, *NEEDED):
            where = str(para / NEEDED.get(where, where))
        elif re.match(r"density\.|nnmod", where):
            where = f"{src}, {where}"
        elif not where:
            where = str(src)
        raise UserError(error.what, where, error.fix) from error


def convert_model(src: Path, dst: Path, extra_settings: Mapping[str, str]) -> list[str]:
    """Convert a checkpoint and its settings, or an exported model.

    `extra_settings` are those that no file of the original has.
    """
    weights, settings = exported(src) if is_exported(src) else _checkpoint(src)
    converted = potential(weights, {**settings, **extra_settings})
    converted.save(dst)
    elements = listed(sorted(converted.elements))
    return [
        f"Predicts {listed(converted.labels)} of {elements}; cutoff {converted.cutoff:g} Å.",
        BRANCHES,
    ]


def _checkpoint(src: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return arrays and settings of a checkpoint, which must agree."""
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
    return weights, settings


def exported(src: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return arrays and settings of an exported model; settings in `para` must agree with it.

    Raises
    ------
    UserError
        If `read_exported` refuses the file, settings contradict it, or its property or activation
        is unknown and there is no `para`.
    """
    weights, from_names = read_exported(src)
    if FIELD_ARRAY in weights:  # FIREANN trains energies only, in folders of other names
        from_names.setdefault("start_table", 1)
    _check_cutoffs(weights, from_names, src)
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


def convert_data(
    src: Path, dst: Path, extra_settings: Mapping[str, str], fractional: bool | None = None
) -> list[str]:
    """Convert a file `configuration`; return sentences about its structures.

    `extra_settings` are those that no file of the original has. Unless `fractional` is given, the
    settings define the kind of coordinates.
    """
    if src.name in inputs.PARA or is_archive(src):
        raise UserError(
            f"{src.name} contains no structures.",
            str(src),
            f"Convert {CHECKPOINT} to a .reann file; its settings in para/ are read with it.",
        )
    para = _para(src)
    settings = {**(inputs.read_settings(para / inputs.PARA[0]) if para else {}), **extra_settings}
    for name in ("dipole_definition", OPTION):
        if name in settings:
            raise UserError(
                f"{name} = {settings[name]!r} has no meaning for data.", name, "Remove it."
            )
    table_coor = settings.get("table_coor")
    if table_coor not in (None, 0, 1):
        raise UserError(f"table_coor = {table_coor!r} is neither 0 nor 1.", "table_coor")
    source = "the first structure"
    if fractional is not None:
        source = "--coordinates"
    elif table_coor is not None:
        fractional, source = bool(table_coor), "para/input_nn"
    numbers = NUMBERS.get(settings.get("start_table", -1))
    data = Configuration(src, fractional, numbers, source)
    with replacing(dst) as temporary, temporary.open("w", encoding="utf-8") as file:
        write_extxyz(data, file, settings)
        if data.count == 0:
            raise UserError("The file is empty.", str(src))
    return data.summary()


def _check_purpose(settings: Mapping[str, Any], from_names: Mapping[str, Any], path: Path) -> None:
    """Compare `start_table` with the property of an exported model."""
    if "start_table" in from_names and purpose_of(settings) != purpose_of(from_names):
        raise UserError(
            f"start_table is {settings.get('start_table', 0)!r}, but the exported model predicts"
            f" the {purpose_of(from_names).output or 'energy'}.",
            str(path),
            "Use the settings with which this model was trained.",
        )


def _check_cutoffs(weights: Mapping[str, Any], from_names: Mapping[str, Any], path: Path) -> None:
    """Compare the cutoff of the neighbors with that of the density in an exported model."""
    array, attribute = weights.get("density.cutoff"), from_names.get("cutoff")
    if array is None or attribute is None or array.numel() != 1:
        return
    if float(array) not in inputs.rounded(float(attribute)):
        raise UserError(
            f"The exported model has two cutoffs: {attribute:g} Å for neighbors and"
            f" {float(array):g} Å in density.cutoff.",
            str(path),
            f"Convert {CHECKPOINT} of the training, with its own para/.",
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
