"""Infrared intensities, Raman activities and depolarization ratios of normal modes.

Double harmonic approximation: Wilson, Decius, Cross, Molecular Vibrations (1955), chapter 3;
conventions of Porezag and Pederson, Phys. Rev. B 54, 7830 (1996), equations 15, 16 and 18.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reann.spectra.constants import KM_PER_MOL


def infrared(dipole_slopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return N_A / (12 eps_0 c^2) |d mu / dQ|^2 in km/mol; slopes in e u^-1/2, (modes, 3)."""
    return KM_PER_MOL * (dipole_slopes**2).sum(-1)


def raman_invariants(
    slopes: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the isotropic part a'^2 and the anisotropic part gamma'^2 of d alpha / dQ.

    a' = Tr(alpha') / 3, and gamma'^2 = 3/2 Tr(beta'^2) with beta' = alpha' - a' 1.

    Parameters
    ----------
    slopes
        (modes, 3, 3), symmetric.
    """
    mean = np.trace(slopes, axis1=-2, axis2=-1) / 3.0
    traceless = slopes - mean[..., None, None] * np.eye(3)
    return mean**2, 1.5 * (traceless**2).sum((-2, -1))


def raman_activity(
    isotropic: NDArray[np.float64], anisotropic: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return 45 a'^2 + 7 gamma'^2, in Å^4/u for slopes in Å^2 u^-1/2."""
    return 45.0 * isotropic + 7.0 * anisotropic


def depolarization(
    isotropic: NDArray[np.float64], anisotropic: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return 3 gamma'^2 / (45 a'^2 + 4 gamma'^2) for plane-polarized light, from 0 to 3/4.

    NaN for modes that are not Raman active.
    """
    total = 45.0 * isotropic + 4.0 * anisotropic
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, 3.0 * anisotropic / total, np.nan)
