"""Polarizabilities of cells, as responses to the mean field or to the field in a cavity.

With dielectric tensor epsilon and volume V, the response to the mean field of a periodic cell is
A = (epsilon - 1) V / (4 pi), and that to the field in a spherical cavity of the medium
B = (epsilon - 1) (epsilon + 2)^-1 3 V / (4 pi) = A (1 + 4 pi A / 3V)^-1 (Clausius and Mossotti).
"""

from __future__ import annotations

import math

import ase
import numpy as np
from numpy.typing import NDArray

MOLECULE = 3
"""Atoms per molecule of water."""


def of_mean_field(frames: list[ase.Atoms]) -> list[ase.Atoms]:
    """Replace labels 4 pi B / 3 per molecule by A, both in Å^3."""
    for atoms in frames:
        label = np.reshape(atoms.info["polarizability"], (3, 3))
        B = 3.0 / (4.0 * math.pi) * label * len(atoms) / MOLECULE
        ratio = 4.0 * math.pi / (3.0 * atoms.get_volume()) * B
        atoms.info["polarizability"] = (B @ np.linalg.inv(np.eye(3) - ratio)).ravel()
    return frames


def in_cavity(A: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
    """Return B of A, (3, 3), Å^3."""
    return A @ np.linalg.inv(np.eye(3) + 4.0 * math.pi / (3.0 * volume) * A)
