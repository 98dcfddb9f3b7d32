"""ASE calculators by name, or by the function that creates them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from reann.errors import UserError

MODULES = {
    "dftd4": "dftd4.ase:DFTD4",
    "gpaw": "gpaw:GPAW",
    "mace": "mace.calculators:MACECalculator",
    "tblite": "tblite.ase:TBLite",
    "xtb": "xtb.ase.calculator:XTB",
}
"""Modules and classes of calculators that are not part of ASE."""
QUIET: dict[str, dict[str, Any]] = {"tblite": {"verbosity": 0}}
"""Arguments that keep a calculator from printing."""
WHERE = "label.calculator"


def make_calculator(name: str, arguments: Mapping[str, Any], folder: str) -> Any:
    """Return a new calculator.

    Parameters
    ----------
    name
        Name, or `module:function`; the function is called with the arguments.
    folder
        Folder of the file of the loop; added to the search path of modules.

    Raises
    ------
    UserError
        If the calculator does not exist, is not installed, or does not accept the arguments.
    """
    make = _imported(MODULES.get(name, name), folder) if _has_module(name) else _of_ase(name)
    options = QUIET.get(name, {}) | dict(arguments)
    try:
        return make(**options)
    except Exception as error:  # calculators raise many kinds of errors
        shown = ", ".join(f"{key}: {value}" for key, value in arguments.items()) or "no arguments"
        raise UserError(
            f"The calculator {name} cannot be created with {shown}: {error}.",
            WHERE,
            "Correct its arguments.",
        ) from error


def _has_module(name: str) -> bool:
    return name in MODULES or ":" in name


def _imported(place: str, folder: str) -> Any:
    module, _, function = place.partition(":")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise UserError(
            f"The module {module} cannot be imported: {error}.",
            WHERE,
            f"Install it on the workers, or put it into {folder}.",
        ) from error
    except AttributeError as error:
        raise UserError(f"The module {module} has no '{function}'.", WHERE) from error


def _of_ase(name: str) -> Any:
    from ase.calculators.calculator import get_calculator_class
    from ase.calculators.names import names

    try:
        return get_calculator_class(name)
    except (ImportError, AttributeError) as error:
        known = ", ".join(sorted([*MODULES, *names]))
        raise UserError(
            f"There is no calculator '{name}'.",
            WHERE,
            f"Use `module:function` for your own calculator, or one of {known}.",
        ) from error
