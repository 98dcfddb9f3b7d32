"""The property of an original model, and settings that its files do not contain.

The original trains on numbers in any unit, which no file records. Its dipole moment has had two
definitions with the same arrays. Both must be set by the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reann import units
from reann.errors import UserError, listed

DEFINITIONS = ("center", "neighbors")
"""Definitions of the dipole: charges times positions relative to the center of mass, or times
vectors from neighbors."""


class Purpose(NamedTuple):
    """The property of a model, and its networks."""

    output: str | None
    """Name of the quantity; None for the energy."""
    networks: tuple[str, ...] = ("nnmod",)
    n_out: int = 1
    """Number of outputs of each network."""


TRANSITION = 3
"""The original's `start_table` of transition dipoles."""

NUMBERS = {0: 1, 1: 1, 2: 3, TRANSITION: 3, 4: 9}
"""Number of values of a label that the original reads, by `start_table`."""

PURPOSES = {
    0: Purpose(None),
    1: Purpose(None),
    2: Purpose("dipole"),
    TRANSITION: Purpose("transition_dipole", n_out=3),
    4: Purpose("polarizability", ("nnmod", "nnmod1", "nnmod2")),
}
"""Purpose of a model, by the original's `start_table`."""


def purpose_of(settings: Mapping[str, Any]) -> Purpose:
    """Return the purpose of the model that has these settings.

    Raises
    ------
    UserError
        If `start_table` is not supported, or other settings have no meaning for it.
    """
    table = settings.get("start_table", 0)
    if table not in list(PURPOSES):
        raise UserError(
            f"start_table = {table!r} is not a property that can be converted.",
            "start_table",
            "Models of energy (0, 1), dipole (2), transition dipole (3) and polarizability (4) are"
            " converted.",
        )
    purpose = PURPOSES[table]
    meaningless = {
        "unit": purpose.output is None,
        "dipole_definition": purpose.output != "dipole",
    }
    for name, is_meaningless in meaningless.items():
        if is_meaningless and settings.get(name) is not None:
            raise UserError(
                f"{name} = {settings[name]!r} has no meaning for a model of the"
                f" {_words(purpose.output or 'energy')}.",
                name,
                "Remove it.",
            )
    return purpose


def definition_of(settings: Mapping[str, Any]) -> str:
    """Return the definition of the dipole; raises `UserError` if it is not set."""
    definition = settings.get("dipole_definition")
    if definition in DEFINITIONS:
        return definition
    wrong = "" if definition is None else f"'{definition}' is not a definition. "
    raise UserError(
        f"{wrong}The dipole of the original has had two definitions, which the arrays do not"
        " distinguish.",
        "dipole_definition",
        "Set --dipole-definition, in Python `dipole_definition`: `center`, charges times positions"
        " from the center of mass, for REANN before 18 April 2022; `neighbors`, charges times"
        " vectors from the neighbors, for REANN from then until 27 October 2022. Later versions"
        " cannot train dipoles.",
    )


def size_of_unit(settings: Mapping[str, Any], output: str) -> float:
    """Return the unit of the labels in e Å or Å^3; raises `UserError` if not set or unknown."""
    polarizability = output == "polarizability"
    known = units.POLARIZABILITY if polarizability else units.DIPOLE
    if settings.get("unit") is None:
        raise UserError(
            f"The files of the original do not contain the unit of the {_words(output)}.",
            "unit",
            f"Set --unit, in Python `unit`, to the unit of the labels: {listed(known)}.",
        )
    read = units.polarizability if polarizability else units.dipole
    return read(str(settings["unit"]))


def _words(name: str) -> str:
    return name.replace("_", " ")
