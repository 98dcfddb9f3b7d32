"""Normal modes: diagonalization of the mass-weighted Hessian without external motions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reann.spectra.constants import PER_CM


@dataclass(frozen=True)
class NormalModes:
    """Vibrations ordered by wavenumber, imaginary ones first."""

    wavenumbers: NDArray[np.float64]
    """cm^-1, (modes,); an imaginary wavenumber i w is given as -w."""
    vectors: NDArray[np.float64]
    """dx/dQ in u^-1/2, (modes, directions): displacements in Å for Q = 1 Å sqrt(u)."""


def normal_modes(
    hessian: NDArray[np.float64], masses: NDArray[np.float64], external: NDArray[np.float64]
) -> NormalModes:
    """Diagonalize M^-1/2 H M^-1/2 in the space orthogonal to the external motions.

    Parameters
    ----------
    hessian
        Second derivatives of the energy, eV/Å^2, symmetric, (directions, directions).
    masses
        Mass of the atom of each direction, u, (directions,).
    external
        Mass-weighted motions to project out, orthonormal rows, (motions, directions).
    """
    weight = masses**-0.5
    basis = np.linalg.svd(external, full_matrices=True)[2][len(external) :]
    inner = basis @ (weight[:, None] * hessian * weight) @ basis.T
    squares, vectors = np.linalg.eigh(inner)
    wavenumbers = PER_CM * np.sign(squares) * np.sqrt(np.abs(squares))
    return NormalModes(wavenumbers, (vectors.T @ basis) * weight)
