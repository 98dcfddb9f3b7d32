"""Infrared and Raman spectra from a model with dipoles and polarizabilities.

`harmonic` takes one structure at a minimum, `from_trajectory` what was computed along a trajectory;
both are functions of numbers and write nothing. `reann spectrum` is `command.spectrum`.
"""

from reann.spectra.trajectory import TrajectorySpectrum, from_trajectory
from reann.spectra.vibrations import HarmonicSpectrum, harmonic

__all__ = ["HarmonicSpectrum", "TrajectorySpectrum", "from_trajectory", "harmonic"]
