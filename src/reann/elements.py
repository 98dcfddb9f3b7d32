"""Check that a potential supports the elements of a structure."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann.errors import UserError, listed


def check_elements(known: Collection[int], numbers: NDArray[np.integer]) -> None:
    """Raise `UserError` if atomic numbers (atoms,) are not supported by a potential."""
    unknown = set(numbers.tolist()).difference(known)
    if unknown:
        symbols = dict(enumerate(chemical_symbols))
        names = sorted(symbols.get(z, f"Z = {z}") for z in unknown)
        raise UserError(
            f"The potential supports the elements {', '.join(chemical_symbols[z] for z in known)}; "
            f"the structure also has {', '.join(names)}.",
            f"atoms {listed(np.flatnonzero(np.isin(numbers, list(unknown))))}",
            "Train a potential with these elements.",
        )
