"""Curves over the wavenumber, and Gaussian broadening of sharp lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGMAS_OF_WIDTH = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian, in standard deviations."""


@dataclass(frozen=True)
class Curve:
    """An intensity over the wavenumber."""

    name: str
    """Name of the curve, such as `infrared absorption`."""
    unit: str
    values: NDArray[np.float64]
    """(wavenumbers,)"""
    error: NDArray[np.float64] | None = None
    """Standard error of each value, if known."""


def grid(highest: float, width: float) -> NDArray[np.float64]:
    """Return wavenumbers in cm^-1 from 0 to beyond the highest line, ten per width."""
    return np.arange(0.0, highest + 5.0 * width, width / 10.0)


def peak_height(width: float) -> float:
    """Return the height of a Gaussian with unit area and the given full width at half maximum."""
    return SIGMAS_OF_WIDTH / (width * math.sqrt(2.0 * math.pi))


def broadened(
    at: NDArray[np.float64],
    wavenumbers: NDArray[np.float64],
    intensities: NDArray[np.float64],
    width: float,
) -> NDArray[np.float64]:
    """Return the sum of Gaussians with the intensities as areas, per cm^-1, at wavenumbers `at`."""
    values = np.zeros_like(at)
    for wavenumber, intensity in zip(wavenumbers, intensities, strict=True):
        away = (at - wavenumber) / width * SIGMAS_OF_WIDTH
        values += intensity * peak_height(width) * np.exp(-0.5 * away**2)
    return values
