"""The input files `para/input_nn` and `para/input_density`, and what they say about a model.

The original executes every line of them. Here a line is a name and a Python literal, or an error.
The arrays of a model decide its architecture; the settings may only agree.
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
        For a missing file, and for a line that is not a name and a literal.
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
            "Put the folder para/ of the training, with input_nn and input_density, beside it.",
        ) from error
    settings: dict[str, Any] = {}
    for number, line in enumerate(lines, start=1):
        text = line.split("#")[0].strip()  # as the original does, even inside of quotes
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
        If it is absent, empty, holds an element twice or something that is no element.
    """
    if "atomtype" not in settings:
        raise UserError(
            "The settings have no `atomtype`, the order of the elements in the arrays.",
            "input_density",
            "Give the list of the training, such as `atomtype = ['O', 'H']`.",
        )
    given = settings["atomtype"]
    symbols = list(given) if isinstance(given, list | tuple) else []
    if not symbols or len({str(symbol) for symbol in symbols}) < len(symbols):
        raise UserError(
            f"atomtype = {given!r} is not a list of different elements.",
            "input_density",
            "Give the list of the training, such as `atomtype = ['O', 'H']`.",
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
    """Return our name of the activation that `activate` or `oc_activate` names."""
    given = settings.get(name, "Relu_like")
    if given not in ACTIVATIONS:
        raise UserError(
            f"{name} = {given!r} is not an activation of the original.",
            "input_nn",
            f"Use {listed(ACTIVATIONS)}; the original takes every other word for Relu_like.",
        )
    return ACTIVATIONS[given]


def check(settings: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise `UserError` where a setting that is given contradicts what the arrays show."""
    for name, value in found.items():
        given = settings.get(name)
        if given is None:
            continue
        given = list(given) if isinstance(given, list | tuple) else given
        if given != value:
            raise UserError(
                f"The settings say {name} = {given!r}, the arrays {value!r}.",
                name,
                "Give the settings with which this model was trained.",
            )


def cutoff(settings: Mapping[str, Any], buffer: float) -> float:
    """Return the cutoff in Å, as a person wrote it.

    The array may hold the decimal number rounded to float32, 6.2 as 6.19999980926.

    Raises
    ------
    UserError
        If the settings give a number that does not round to that of the array.
    """
    if not 0 < buffer < np.inf:
        raise UserError(f"The cutoff {buffer} is not a positive length.", "density.cutoff")
    single = np.float32(buffer)
    given = settings.get("cutoff")
    if given is None:
        return float(str(single)) if float(single) == buffer else buffer
    if isinstance(given, int | float) and (given == buffer or np.float32(given) == buffer):
        return float(given)
    raise UserError(
        f"The settings say cutoff = {given!r}, the arrays {float(str(single))}.",
        "cutoff",
        "Give the settings with which this model was trained.",
    )
