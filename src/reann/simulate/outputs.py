"""Outputs of the model, such as dipoles, in the structures of a trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase.calculators.calculator import all_properties

from reann.errors import UserError, did_you_mean
from reann.interfaces.ase import Calculator
from reann.quantities import is_per_atom


def check_outputs_of_model(
    calculator: Calculator, names: Sequence[str], output: str | Path | None
) -> None:
    """Raise `UserError` for outputs that the model does not have, or without a trajectory."""
    for name in names:
        if name not in calculator.others:
            has = ", ".join(sorted(calculator.others)) or "none"
            raise UserError(
                f"The model has no output '{name}'.{did_you_mean(name, calculator.others)}",
                f"--write {name}",
                f"Its outputs besides energy and forces are: {has}.",
            )
    if names and output is None:
        raise UserError(
            f"There is no trajectory to write {names[0]} to.",
            "--write",
            "Add a trajectory: -o md.xyz.",
        )


def computed_outputs(
    calculator: Calculator, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compute outputs of the last structure of the calculator.

    They become results of the calculator. Those that ASE does not write to trajectories are
    returned: outputs of the structure, and outputs of its atoms.
    """
    values = {name: calculator.get_property(name) for name in names}
    others = {name: value for name, value in values.items() if name not in all_properties}
    of_atoms = {name: value for name, value in others.items() if is_per_atom(name)}
    return {name: x for name, x in others.items() if name not in of_atoms}, of_atoms
