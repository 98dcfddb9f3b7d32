"""Axes along which all forces are zero although the neighbors are not symmetric."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ASYMMETRIC = 1e-2
"""Threshold for the sum over the neighbors of an atom of exp(-r / Å) times the unit vector."""


def axes_without_forces(forces: Array, center: NDArray[Any], vector: Array) -> str:
    """Return the axes, of xyz, along which all forces are zero without being so by symmetry.

    Parameters
    ----------
    forces
        (atoms, 3)
    center, vector
        Atom of each neighbor pair, and the vector (pairs, 3) to its neighbor, Å.
    """
    zero = np.flatnonzero(~forces.any(axis=0))
    if len(zero) in (0, 3) or not len(center):
        return ""
    distance = np.maximum(np.linalg.norm(vector, axis=1), 1e-6)
    pull = vector * (np.exp(-distance) / distance)[:, None]
    return "".join(
        "xyz"[axis]
        for axis in zero
        if np.abs(np.bincount(center, pull[:, axis])).max() > ASYMMETRIC
    )
