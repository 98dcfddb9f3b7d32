"""Refuse potentials for programs that support neither long-range terms nor inputs of structures."""

from __future__ import annotations

from reann.errors import UserError
from reann.model import Reann


def require_neighbors_alone(
    model: Reann, program: str, where: str = "", *, charges: bool = False
) -> None:
    """Raise `UserError` for a model that needs more than a program provides.

    Parameters
    ----------
    charges
        Whether the program computes the Coulomb energy of charges.
    """
    fix = "Use the ASE calculator, `reann md` or `reann relax`."
    if inputs := model.config.inputs:
        raise UserError(
            f"The energy of this potential depends on the {' and '.join(inputs)} of a structure,"
            f" which {program} does not support.",
            where,
            fix,
        )
    parts = {"long_range": None if charges else model.long_range, "dispersion": model.dispersion}
    if beyond := [f"model.{name}" for name, part in parts.items() if part is not None]:
        raise UserError(
            f"{program} does not support terms of this potential that have a longer range than its"
            f" neighbors ({', '.join(beyond)}).",
            where,
            fix,
        )
