"""The input files `para/input_nn` and `para/input_density` of the original.

The original executes them. Here each line must be a name and a Python literal. The architecture
follows from the arrays of a model, with which the settings must agree.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from reann.errors import UserError, did_you_mean, listed

PARA = ("input_nn", "input_density")
"""Names of the input files, in the order in which they are read."""

ACTIVATIONS = {"Relu_like": "relu_like", "Tanh_like": "tanh_like"}


def read_para(folder: Path) -> dict[str, Any]:
    """Read both input files of a folder.

    Raises
    ------
    UserError
        If a file is missing, or a line is not a name and a literal.
    """
    settings: dict[str, Any] = {}
    for name in PARA:
        settings |= read_settings(folder / name)
    return settings


def read_settings(path: Path) -> dict[str, Any]:
    """Read the lines ``name = literal`` of one file; nothing in it is executed."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(
            f"{path.name} cannot be read ({error.strerror}).",
            str(path),
            "Put the folder para/ of the training, with input_nn and input_density, next to it.",
        ) from error
    settings: dict[str, Any] = {}
    for number, line in enumerate(lines, start=1):
        text = line.split("#")[0].strip()  # like the original, even inside quotes
        if text:
            name, value = _assignment(text, f"{path}, line {number}")
            settings[name] = value
    return settings


def _assignment(text: str, where: str) -> tuple[str, Any]:
    try:
        match ast.parse(text).body:
            case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
                return name, ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass
    raise UserError(
        f"'{text}' is not a name and a plain value; input files are not executed.",
        where,
        "Write the value itself, such as `cutoff = 6.2` or `nl = [64, 64]`.",
    )


def elements(settings: Mapping[str, Any]) -> list[str]:
    """Return `atomtype`, the order of the elements in the arrays.

    Raises
    ------
    UserError
        If it is missing or empty, or contains an element twice or something else.
    """
    if "atomtype" not in settings:
        raise UserError(
            "The settings have no `atomtype`, the order of the elements in the arrays.",
            "input_density",
            "Use the list of the training, such as `atomtype = ['O', 'H']`.",
        )
    atomtype = settings["atomtype"]
    symbols = list(atomtype) if isinstance(atomtype, list | tuple) else []
    if not symbols or len({str(symbol) for symbol in symbols}) < len(symbols):
        raise UserError(
            f"atomtype = {atomtype!r} is not a list of different elements.",
            "input_density",
            "Use the list of the training, such as `atomtype = ['O', 'H']`.",
        )
    for symbol in symbols:
        if symbol not in chemical_symbols[1:]:
            raise UserError(
                f"'{symbol}' in atomtype is not an element."
                + did_you_mean(str(symbol), chemical_symbols[1:]),
                "input_density",
                "Use chemical symbols; deuterium is H with another mass.",
            )
    return symbols


def activation(settings: Mapping[str, Any], name: str) -> str:
    """Return our name of the activation in `activate` or `oc_activate`."""
    word = settings.get(name, "Relu_like")
    if word not in ACTIVATIONS:
        raise UserError(
            f"{name} = {word!r} is not an activation of the original.",
            "input_nn",
            f"Use {listed(ACTIVATIONS)}; the original interprets any other word as Relu_like.",
        )
    return ACTIVATIONS[word]


def check(settings: Mapping[str, Any], from_arrays: Mapping[str, Any]) -> None:
    """Raise `UserError` if a setting contradicts the arrays."""
    for name, value in from_arrays.items():
        setting = settings.get(name)
        if setting is None:
            continue
        setting = list(setting) if isinstance(setting, list | tuple) else setting
        if setting != value:
            raise UserError(
                f"{name} is {setting!r} in the settings, but {value!r} in the arrays.",
                name,
                "Use the settings with which this model was trained.",
            )


def cutoff(settings: Mapping[str, Any], buffer: float) -> float:
    """Return the cutoff in Å with its original digits.

    The array may contain the number rounded to float32, for example 6.19999980926 for 6.2.

    Raises
    ------
    UserError
        If the settings have a different number.
    """
    if not 0 < buffer < np.inf:
        raise UserError(f"The cutoff {buffer} is not a positive length.", "density.cutoff")
    single = np.float32(buffer)
    setting = settings.get("cutoff")
    if setting is None:
        return float(str(single)) if float(single) == buffer else buffer
    if isinstance(setting, int | float) and (setting == buffer or np.float32(setting) == buffer):
        return float(setting)
    raise UserError(
        f"cutoff is {setting!r} in the settings, but {float(str(single))} in the arrays.",
        "cutoff",
        "Use the settings with which this model was trained.",
    )
