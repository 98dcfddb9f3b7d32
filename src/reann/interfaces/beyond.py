"""Checks for programs that do not support structure terms and inputs of structures."""

from __future__ import annotations

from reann.errors import UserError
from reann.model import Reann


def require_neighbors_alone(model: Reann, program: str, where: str = "") -> None:
    """Raise `UserError` for a model that needs more than a program provides."""
    fix = "Use the ASE calculator, `reann md` or `reann relax`."
    if inputs := model.config.inputs:
        raise UserError(
            f"{program} does not know {' and '.join(inputs)} of a structure, on which the energy of"
            " this potential depends.",
            where,
            fix,
        )
    parts = {"long_range": model.long_range, "dispersion": model.dispersion}
    if beyond := [f"model.{name}" for name, part in parts.items() if part is not None]:
        raise UserError(
            f"{program} computes what neighbors do to each other, and the energy of this potential"
            f" has a part that reaches farther ({', '.join(beyond)}).",
            where,
            fix,
        )
