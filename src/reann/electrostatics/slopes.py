"""Energies of charges and their first derivatives."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Slopes(NamedTuple):
    """Energies of charges, and the first derivatives of their sum."""

    energies: Float[Tensor, " atoms"]
    """eV, half of each pair's."""
    by_charge: Float[Tensor, " atoms"]
    """eV/e: the potential at each charge."""
    by_position: Float[Tensor, "atoms 3"]
    """eV/Å."""
    by_strain: Float[Tensor, "... 3 3"]
    """eV."""
    field: Float[Tensor, "atoms 3"]
    """V/Å: the slope of the potential at each charge, of which `by_position` is the product."""
