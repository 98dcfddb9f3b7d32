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
from ase.data import atomic_numbers, chemical_symbols

from reann.errors import UserError, did_you_mean, listed

PARA = ("input_nn", "input_density")
"""Names of the input files, in the order in which they are read."""

ISOTOPES = {"D": "H", "T": "H"}
"""Names of isotopes in files of the original; here they are elements with another mass."""

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
    return {name: value for name, (value, _) in _assignments(path).items()}


def lines_of(folder: Path) -> dict[str, str]:
    """Return file and line of each setting in the input files of a folder that exist."""
    files = [folder / name for name in PARA if (folder / name).is_file()]
    return {name: where for file in files for name, (_, where) in _assignments(file).items()}


def _assignments(path: Path) -> dict[str, tuple[Any, str]]:
    """Return value and place of each setting of one file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(
            f"{path.name} cannot be read ({error.strerror}).",
            str(path),
            "Put the folder para/ of the training, with input_nn and input_density, next to it.",
        ) from error
    settings: dict[str, tuple[Any, str]] = {}
    for at, line in enumerate(lines, start=1):
        text = line.split("#")[0].strip()  # like the original, even inside quotes
        if text:
            where = f"{path}, line {at}"
            name, value = _assignment(text, where)
            settings[name] = value, where
    return settings


def _assignment(text: str, where: str) -> tuple[str, Any]:
    try:
        match ast.parse(text).body:
            case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
                return name, ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass
    raise UserError(
        f"'{text}' is not of the form name = value; input files are not executed.",
        where,
        "Write the value itself, such as `cutoff = 6.2` or `nl = [64, 64]`.",
    )


def elements(settings: Mapping[str, Any]) -> list[str]:
    """Return `atomtype`, the order of the elements in the arrays, with D and T as they are.

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
            "atomtype",
            "Use the list of the training, such as `atomtype = ['O', 'H']`.",
        )
    plain = [ISOTOPES.get(str(symbol), symbol) for symbol in symbols]
    for symbol in plain:
        if symbol not in chemical_symbols[1:]:
            raise UserError(
                f"'{symbol}' in atomtype is not an element."
                + did_you_mean(str(symbol), chemical_symbols[1:]),
                "atomtype",
                "Use chemical symbols.",
            )
    if len(set(plain)) < len(plain):
        raise UserError(
            f"atomtype = {symbols!r} has networks for isotopes of one element.",
            "atomtype",
            "A converted potential has one network for each element: isotopes differ in their mass"
            " only. Train again without the isotopes in atomtype.",
        )
    return symbols


def number(symbol: str) -> int:
    """Return the atomic number of an element or isotope in `atomtype`."""
    return atomic_numbers[ISOTOPES.get(symbol, symbol)]


def activation(settings: Mapping[str, Any], name: str) -> str:
    """Return our name of the activation in `activate` or `oc_activate`."""
    word = settings.get(name, "Relu_like")
    if word not in ACTIVATIONS:
        raise UserError(
            f"{name} = {word!r} is not an activation of the original.",
            name,
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


def rounded(cutoff: float) -> tuple[float, float]:
    """Return a cutoff, and its value in an array of a model that was trained in float32."""
    return cutoff, float(np.float32(cutoff))


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
    setting = settings.get("cutoff")
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(buffer)
        digits = float(str(single)) if float(single) == buffer else buffer
        if setting is None:
            return digits
        # As floats: numpy would round the other number to float32, too.
        if isinstance(setting, float | int) and buffer in rounded(float(setting)):
            return float(setting)
    raise UserError(
        f"cutoff is {setting!r} in the settings, but {digits!r} in the arrays.",
        "cutoff",
        "Use the settings with which this model was trained.",
    )
