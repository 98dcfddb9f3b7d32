r"""Spectral densities of time series from their autocorrelation, with errors from blocks.

With the one-sided density S(nu) of a stationary series x over the wavenumber nu,

    <x(0) . x(t)> = int_0^inf S(nu) cos(2 pi c nu t) dnu,
    S(nu) = 4 c int_0^inf <x(0) . x(t)> w(t) cos(2 pi c nu t) dt,

so that the area under S is <x^2>. The window w(t) is a Gaussian: each sharp line becomes a Gaussian
of the given width and keeps its area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reann.spectra.constants import CM_PER_FS
from reann.spectra.lines import SIGMAS_OF_WIDTH

CUT = 3.5
"""End of the window in standard deviations; it has decayed to 0.2 % there."""
POINTS_OF_WIDTH = 10
"""Fewest points of the spectrum within the width of a line, by zero padding."""


@dataclass(frozen=True)
class Window:
    """Gaussian window of the correlations, at the times of a series.

    Parameters
    ----------
    timestep
        Interval of the series, fs.
    width
        Full width of a sharp line at half maximum, cm^-1.
    """

    timestep: float
    width: float

    @property
    def sigma(self) -> float:
        """Standard deviation in fs."""
        return SIGMAS_OF_WIDTH / (2.0 * math.pi * CM_PER_FS * self.width)

    @property
    def depth(self) -> int:
        """Longest time of the correlations, in steps."""
        return math.ceil(CUT * self.sigma / self.timestep)

    @property
    def values(self) -> NDArray[np.float64]:
        """Return w(t), (depth + 1,)."""
        t = np.arange(self.depth + 1) * self.timestep / self.sigma
        return np.exp(-0.5 * t**2)

    @property
    def n_padded(self) -> int:
        """Length of the Fourier transform."""
        period = POINTS_OF_WIDTH / (CM_PER_FS * self.timestep * self.width)
        return 2 ** math.ceil(math.log2(max(period, 2.0 * self.depth)))

    @property
    def wavenumbers(self) -> NDArray[np.float64]:
        """Wavenumbers of the spectral density, cm^-1."""
        return np.fft.rfftfreq(self.n_padded, CM_PER_FS * self.timestep)


def narrowest_width(length: float) -> float:
    """Return the smallest width in cm^-1 that a series of the given length in fs resolves.

    With this width, correlations are averaged over at least half of the series at all times.
    """
    return CUT * SIGMAS_OF_WIDTH / (math.pi * CM_PER_FS * length)


def autocorrelation(
    series: NDArray[np.float64], depth: int, first: int, last: int
) -> NDArray[np.float64]:
    """Return the mean of x(t) . x(t + s) over the origins t from `first` to before `last`.

    Parameters
    ----------
    series
        x, (times, components).
    depth
        Largest s; t + s may be beyond `last`. Near the end of the series there are fewer origins
        for large s.

    Returns
    -------
    array
        (depth + 1,), s = 0, 1, ...
    """
    origins, partners = series[first:last], series[first : last + depth]
    length = 2 ** math.ceil(math.log2(len(origins) + len(partners)))
    transformed = np.fft.rfft(origins, length, axis=0).conj()
    transformed *= np.fft.rfft(partners, length, axis=0)
    sums = np.fft.irfft(transformed.sum(1), length)[: depth + 1]
    counts = np.minimum(len(origins), len(partners) - np.arange(depth + 1))
    return sums / counts


def spectral_densities(
    series: NDArray[np.float64], window: Window, n_blocks: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return S of a series at `window.wavenumbers`, and S of blocks of time origins.

    Blocks have equal numbers of origins t; t + s may be in the next block.

    Parameters
    ----------
    series
        (times, components), with at least twice as many times as `window.depth`.

    Returns
    -------
    whole
        (wavenumbers,); unit of x^2 times cm.
    blocks
        (blocks, wavenumbers).
    """
    depth = window.depth
    bounds = [(len(series) - depth) * i // n_blocks for i in range(n_blocks + 1)]
    spans = [(0, len(series)), *pairwise(bounds)]
    correlations = np.stack([autocorrelation(series, depth, a, b) for a, b in spans])
    weights = 4.0 * CM_PER_FS * window.timestep * window.values
    weights[0] *= 0.5  # the trapezoidal rule
    densities = np.fft.rfft(correlations * weights, window.n_padded, axis=1).real
    return densities[0], densities[1:]


def standard_error(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error of the mean of independent blocks, (wavenumbers,)."""
    return blocks.std(0, ddof=1) / math.sqrt(len(blocks))
