"""Units of spectra in units of ASE: eV, Å, u, e, and the time Å sqrt(u/eV)."""

from __future__ import annotations

import math

from ase import units

_SI = units.create_units("2014")

PER_CM = units.second / (2.0 * math.pi * 100.0 * _SI["_c"])
"""Wavenumber in cm^-1 of an angular frequency of 1 sqrt(eV/u)/Å."""

CM_PER_FS = 100.0 * _SI["_c"] * 1e-15
"""Speed of light in cm/fs: a wavenumber in cm^-1 times this is a frequency in 1/fs."""

KM_PER_MOL = 1e-3 * (
    _SI["_Nav"] * _SI["_e"] ** 2 / (12.0 * _SI["_eps0"] * _SI["_c"] ** 2 * _SI["_amu"])
)
"""Infrared intensity in km/mol of a derivative (d mu / dQ)^2 of 1 e^2/u."""

PER_CM_IN_VOLUME = 1e29 / _SI["_Nav"]
"""Absorption coefficient in cm^-1 of 1 km/mol per cm^-1 in a volume of 1 Å^3."""
