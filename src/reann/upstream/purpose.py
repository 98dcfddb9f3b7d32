"""What a model of the original was trained on, and what its files do not say about it.

The original trains on any numbers and gives the same numbers back: no file says in which unit. Its
dipole moment has had two definitions with equal arrays. Both have to be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reann import units
from reann.errors import UserError, listed

DEFINITIONS = ("center", "neighbors")
"""Of the dipole: charges at positions from the center of mass, or at vectors from neighbors."""


class Purpose(NamedTuple):
    """The quantity that a model gives, and the networks that it has for it."""

    output: str | None
    """Name of the quantity; None: the energy."""
    networks: tuple[str, ...] = ("nnmod",)
    n_out: int = 1
    """Numbers that each network gives."""


TRANSITION = 3
"""The original's `start_table` of transition dipoles."""

PURPOSES = {
    0: Purpose(None),
    1: Purpose(None),
    2: Purpose("dipole"),
    TRANSITION: Purpose("transition_dipole", n_out=3),
    4: Purpose("polarizability", ("nnmod", "nnmod1", "nnmod2")),
}
"""By the original's `start_table`."""


def purpose_of(settings: Mapping[str, Any]) -> Purpose:
    """Return the purpose of the model that has these settings.

    Raises
    ------
    UserError
        For a `start_table` that is not converted, and for settings that have no meaning beside it.
    """
    table = settings.get("start_table", 0)
    if table not in list(PURPOSES):
        raise UserError(
            f"start_table = {table!r} is not a property that is converted.",
            "input_nn",
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
                "Leave it out.",
            )
    return purpose


def definition_of(settings: Mapping[str, Any]) -> str:
    """Return the definition of the dipole; `UserError` if it is not given."""
    given = settings.get("dipole_definition")
    if given in DEFINITIONS:
        return given
    wrong = "" if given is None else f"'{given}' is not a definition. "
    raise UserError(
        f"{wrong}The original's dipole has had two definitions, and the arrays do not tell them"
        " apart.",
        "dipole_definition",
        "Give --dipole-definition, in Python `dipole_definition`: `center`, charges times positions"
        " from the center of mass, for REANN before 18 April 2022; `neighbors`, charges times"
        " vectors from the neighbors, for REANN from then until 27 October 2022. Later versions"
        " cannot train dipoles.",
    )


def size_of_unit(settings: Mapping[str, Any], output: str) -> float:
    """Return the unit of the labels in e Å or Å^3; `UserError` if it is not given or unknown."""
    polarizability = output == "polarizability"
    known = units.POLARIZABILITY if polarizability else units.DIPOLE
    if settings.get("unit") is None:
        raise UserError(
            f"No file of the original says in which unit the {_words(output)} is.",
            "unit",
            f"Give --unit, in Python `unit`, of the labels: {listed(known)}.",
        )
    read = units.polarizability if polarizability else units.dipole
    return read(str(settings["unit"]))


def _words(name: str) -> str:
    return name.replace("_", " ")
