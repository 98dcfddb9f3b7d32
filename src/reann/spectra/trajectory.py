r"""Infrared and Raman spectra from fluctuations along a trajectory.

Infrared, McQuarrie, Statistical Mechanics (1976), chapter 21; with the harmonic correction of
Ramírez et al., J. Chem. Phys. 121, 3973 (2004), all factors of h cancel:

    n(w) a(w) = 2 pi / (3 c V k T 4 pi eps_0) int <dM/dt(0) . dM/dt(t)> exp(-i w t) dt.

Raman, with alpha = a 1 + beta: isotropic 45 <da/dt da/dt> and anisotropic 7 3/2 <Tr dbeta/dt
dbeta/dt>, each as a spectral density divided by k T. For harmonic classical vibrations, the areas
of lines are the intensities and activities of the harmonic approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reann.errors import UserError
from reann.spectra.constants import KM_PER_MOL, PER_CM_IN_VOLUME
from reann.spectra.correlation import standard_error
from reann.spectra.lines import Curve
from reann.spectra.rates import Rates

WIDTH, N_BLOCKS = 20.0, 5
"""Defaults: full width of a sharp line at half maximum, cm^-1; number of blocks for errors."""
HIGHEST = 5000.0
"""Default end of a spectrum, cm^-1."""


@dataclass(frozen=True)
class TrajectorySpectrum:
    """Spectra over the wavenumber; None if the quantity is not available."""

    wavenumbers: NDArray[np.float64]
    """cm^-1."""
    infrared: Curve | None
    """Molar absorption in km/mol per cm^-1; with a volume, the absorption coefficient times the
    refractive index, cm^-1."""
    raman: Curve | None
    """Reduced intensity 45 a'^2 + 7 gamma'^2, Å^4/u per cm^-1."""
    isotropic: Curve | None
    """The part 45 a'^2 of it."""
    anisotropic: Curve | None
    """The part 7 gamma'^2 of it."""

    def curves(self) -> list[Curve]:
        """Return the available curves."""
        curves = (self.infrared, self.raman, self.isotropic, self.anisotropic)
        return [curve for curve in curves if curve is not None]


def from_trajectory(
    timestep: float,
    temperature: float,
    *,
    dipoles: NDArray[np.float64] | None = None,
    currents: NDArray[np.float64] | None = None,
    polarizabilities: NDArray[np.float64] | None = None,
    volume: float | None = None,
    width: float = WIDTH,
    n_blocks: int = N_BLOCKS,
    correction: str = "harmonic",
    highest: float = HIGHEST,
) -> TrajectorySpectrum:
    """Return spectra from dipoles, currents or polarizabilities along a trajectory.

    Parameters
    ----------
    timestep
        Interval of the structures, fs.
    temperature
        K.
    dipoles
        e Å, (structures, 3), without jumps; they are differentiated with respect to time.
    currents
        Instead of dipoles: sum_i q_i v_i in e Å/fs, (structures, 3), such as for a periodic system
        whose charges are known.
    polarizabilities
        Å^3, (structures, 3, 3).
    volume
        Å^3, of a system that is periodic in three dimensions.
    width
        Full width of a sharp line at half maximum, cm^-1; it determines the Gaussian window of the
        correlations.
    n_blocks
        Number of blocks for the errors.
    correction
        `harmonic`: the quantum correlation is the classical one times x / (1 - exp(-x)) with
        x = h c nu / k T. `none`: the classical correlation is used.
    highest
        End of the spectra, cm^-1.

    Raises
    ------
    UserError
        For invalid settings, and for a trajectory that is too short for the width.
    """
    rates = Rates(timestep, temperature, width, n_blocks, correction, highest)
    rates.check()
    if dipoles is not None and currents is not None:
        raise UserError("Both dipoles and currents are given.", fix="Leave out one of them.")
    infrared = raman = isotropic = anisotropic = None
    if dipoles is not None:
        infrared = _infrared(rates, rates.of_values(dipoles), volume)
    elif currents is not None:
        infrared = _infrared(rates, rates.of_currents(currents), volume)
    if polarizabilities is not None:
        isotropic, anisotropic, raman = _raman(rates, polarizabilities)
    return TrajectorySpectrum(rates.wavenumbers, infrared, raman, isotropic, anisotropic)


def mean_of(spectra: Sequence[TrajectorySpectrum]) -> TrajectorySpectrum:
    """Return the mean of the spectra of independent trajectories, at the same wavenumbers.

    The errors are standard errors from the differences between the trajectories, at least two.
    """

    def mean(name: str) -> Curve | None:
        each: list[Curve] = [curve for s in spectra if (curve := getattr(s, name)) is not None]
        if not each:
            return None
        values = np.array([curve.values for curve in each])
        return Curve(each[0].name, each[0].unit, values.mean(0), standard_error(values))

    names = ("infrared", "raman", "isotropic", "anisotropic")
    return TrajectorySpectrum(spectra[0].wavenumbers, *map(mean, names))


def _infrared(rates: Rates, densities: NDArray[np.float64], volume: float | None) -> Curve:
    factor, unit = KM_PER_MOL, "km/mol per cm^-1"
    if volume is not None:
        factor, unit = factor * PER_CM_IN_VOLUME / volume, "cm^-1"
    return rates.curve("infrared absorption", unit, factor * densities)


def _raman(rates: Rates, polarizabilities: NDArray[np.float64]) -> list[Curve]:
    """Return the isotropic part, the anisotropic part, and their sum."""
    mean = np.trace(polarizabilities, axis1=1, axis2=2)[:, None] / 3.0
    traceless = polarizabilities - mean[:, :, None] * np.eye(3)
    isotropic = 45.0 * rates.of_values(mean)
    anisotropic = 7.0 * 1.5 * rates.of_values(traceless.reshape(-1, 9))
    parts = {
        "Raman, isotropic": isotropic,
        "Raman, anisotropic": anisotropic,
        "Raman, reduced": isotropic + anisotropic,
    }
    return [rates.curve(name, "Å^4/u per cm^-1", part) for name, part in parts.items()]
