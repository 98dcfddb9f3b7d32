"""Derivatives with respect to positions, by central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import ase
import numpy as np
from numpy.typing import NDArray

Values = Mapping[str, NDArray[np.float64]]


Evaluate = Callable[[Iterable[ase.Atoms]], Values]
"""Computes properties of structures by name; the first axis of each array is the structure.
`forces` are (structures, atoms, 3)."""


def displaced(
    atoms: ase.Atoms, free: NDArray[np.bool_], displacement: float
) -> Iterator[ase.Atoms]:
    """Yield two copies for each free direction, displaced by plus and minus `displacement` in Å."""
    for direction in np.flatnonzero(free):
        for sign in (1.0, -1.0):
            copy = atoms.copy()
            copy.positions.flat[direction] += sign * displacement
            yield copy


def derivatives(
    evaluate: Evaluate, atoms: ase.Atoms, free: NDArray[np.bool_], displacement: float
) -> dict[str, NDArray[np.float64]]:
    """Return the derivative of each property with respect to each free direction.

    The error is of second order in the displacement.

    Parameters
    ----------
    free
        Directions of displacement, (atoms, 3).
    displacement
        Å.

    Returns
    -------
    dict
        For each property (directions, ...), in its unit per Å.
    """
    values = evaluate(displaced(atoms, free, displacement))
    return {name: (each[0::2] - each[1::2]) / (2.0 * displacement) for name, each in values.items()}
