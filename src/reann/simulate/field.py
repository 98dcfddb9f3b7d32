"""Structures in an external electric field."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np

from reann.errors import UserError
from reann.model import Reann


def numbers_of(text: str) -> tuple[float, ...]:
    """Return the numbers in a text such as ``0,0,0.1``; `UserError` for any other text."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(
            f"'{text}' is not a field.", "--field", "Write three numbers in V/Å, such as 0,0,0.1."
        ) from None


def set_field(atoms: ase.Atoms, field: Sequence[float], model: Reann) -> None:
    """Set the external field of a structure in V/Å: `atoms.info["field"]`.

    Raises
    ------
    UserError
        If the model does not depend on electric fields, or the field is not three finite numbers.
    """
    if "field" not in model.inputs:
        raise UserError(
            "The energy of this model does not depend on electric fields.",
            "--field",
            "Train it on structures in fields, with `model.field: true`.",
        )
    value = np.array(field, dtype=np.float64)
    if value.shape != (3,) or not np.isfinite(value).all():
        raise UserError(
            f"The field {tuple(field)} is not three finite numbers.",
            "--field",
            "Write three numbers in V/Å, such as 0,0,0.1.",
        )
    atoms.info["field"] = value
