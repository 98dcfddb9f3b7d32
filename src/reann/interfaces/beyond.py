"""Refuse potentials for programs that support neither long-range terms nor inputs of structures."""

from __future__ import annotations

from reann.errors import UserError
from reann.model import Reann
from reann.model.long_range import EquilibratedCharges

FIX = "Use the ASE calculator, `reann md` or `reann relax`."


def require_neighbors_alone(model: Reann, program: str, where: str = "") -> None:
    """Raise `UserError` for a model that needs more than a program provides."""
    _refuse_inputs(model, program, where)
    parts = {"long_range": model.long_range, "dispersion": model.dispersion}
    if beyond := [f"model.{name}" for name, part in parts.items() if part is not None]:
        raise UserError(
            f"{program} supports only interactions between neighbors, but this potential has terms"
            f" of longer range ({', '.join(beyond)}).",
            where,
            FIX,
        )


def require_latent_charges_at_most(model: Reann, program: str, where: str = "") -> None:
    """Raise `UserError` for a model that needs more than neighbors and latent charges."""
    _refuse_inputs(model, program, where)
    parts = {
        "equilibrated charges (model.long_range.charges)": isinstance(
            model.long_range, EquilibratedCharges
        ),
        "dispersion (model.dispersion)": model.dispersion is not None,
    }
    if beyond := [name for name, applies in parts.items() if applies]:
        raise UserError(
            f"{program} does not support the {' and the '.join(beyond)} of this potential.",
            where,
            FIX,
        )


def _refuse_inputs(model: Reann, program: str, where: str) -> None:
    if inputs := model.config.inputs:
        raise UserError(
            f"The energy of this potential depends on the {' and '.join(inputs)} of a structure,"
            f" which {program} does not support.",
            where,
            FIX,
        )
