"""The elements of a potential: their indices, and a check of those of a structure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from ase.data import chemical_symbols
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from reann.errors import UserError, listed
from reann.facts import HEAVIEST

UNKNOWN = -1
"""Index of elements that a potential does not support."""


def indices_of(elements: Sequence[int]) -> Int[Tensor, " numbers"]:
    """Return the index of each atomic number in a list of elements; `UNKNOWN` if it is absent."""
    index = torch.full((HEAVIEST + 1,), UNKNOWN)
    index[torch.tensor(list(elements))] = torch.arange(len(elements))
    return index


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
            f"Train a potential on structures that contain {' and '.join(names)}.",
        )
