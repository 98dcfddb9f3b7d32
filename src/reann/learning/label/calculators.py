"""Calculators of ASE by name, or by the function that makes them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from reann.errors import UserError

PLACES = {
    "dftd4": "dftd4.ase:DFTD4",
    "gpaw": "gpaw:GPAW",
    "mace": "mace.calculators:MACECalculator",
    "tblite": "tblite.ase:TBLite",
    "xtb": "xtb.ase.calculator:XTB",
}
"""Calculators that ASE does not know by name."""
QUIET: dict[str, dict[str, Any]] = {"tblite": {"verbosity": 0}}
"""Arguments that keep a calculator from printing."""
WHERE = "label.calculator"


def make_calculator(name: str, arguments: Mapping[str, Any], folder: str) -> Any:
    """Return a new calculator.

    Parameters
    ----------
    name
        Name, or `module:function`, which is called with the arguments.
    folder
        Where modules are also looked for: that of the loop's file.

    Raises
    ------
    UserError
        If there is no such calculator, it is not installed, or refuses its arguments.
    """
    make = _imported(PLACES.get(name, name), folder) if _has_place(name) else _of_ase(name)
    given = QUIET.get(name, {}) | dict(arguments)
    try:
        return make(**given)
    except Exception as error:  # calculators raise many kinds of errors
        shown = ", ".join(f"{key}: {value}" for key, value in arguments.items()) or "no arguments"
        raise UserError(
            f"The calculator {name} cannot be made with {shown}: {error}.",
            WHERE,
            "Correct its arguments.",
        ) from error


def _has_place(name: str) -> bool:
    return name in PLACES or ":" in name


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
            f"Install it where the workers run, or put it into {folder}.",
        ) from error
    except AttributeError as error:
        raise UserError(f"The module {module} has no '{function}'.", WHERE) from error


def _of_ase(name: str) -> Any:
    from ase.calculators.calculator import get_calculator_class
    from ase.calculators.names import names

    try:
        return get_calculator_class(name)
    except (ImportError, AttributeError) as error:
        known = ", ".join(sorted([*PLACES, *names]))
        raise UserError(
            f"There is no calculator '{name}'.",
            WHERE,
            f"Write `module:function` for one of your own, or one of {known}.",
        ) from error
