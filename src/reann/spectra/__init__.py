"""Infrared and Raman spectra from a model with dipoles and polarizabilities.

`harmonic` takes a structure at a minimum, `from_trajectory` the values along a trajectory. Neither
writes files or output. `command.spectrum` is `reann spectrum`.
"""

from reann.spectra.trajectory import TrajectorySpectrum, from_trajectory
from reann.spectra.vibrations import HarmonicSpectrum, harmonic

__all__ = ["HarmonicSpectrum", "TrajectorySpectrum", "from_trajectory", "harmonic"]
