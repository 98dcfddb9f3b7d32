"""Spectral densities of rates of change, divided by kT."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import units
from numpy.typing import NDArray

from reann.errors import UserError, did_you_mean
from reann.motion.settings import check_number
from reann.spectra.constants import CM_PER_FS
from reann.spectra.correlation import Window, narrowest_width, spectral_densities, standard_error
from reann.spectra.lines import Curve

CORRECTIONS = ("harmonic", "none")
"""Corrections for quantum effects, the default first."""


@dataclass(frozen=True)
class Rates:
    """Conversion of rates to spectra; fields are parameters of `from_trajectory`."""

    timestep: float
    temperature: float
    width: float
    n_blocks: int
    correction: str
    highest: float

    def check(self) -> None:
        """Raise `UserError` for the first invalid setting."""
        check_number("time step", self.timestep, "fs", above=0.0)
        check_number("temperature", self.temperature, "K", above=0.0)
        check_number("width", self.width, "cm^-1", above=0.0)
        check_number("number of blocks", float(self.n_blocks), least=2.0)
        if self.correction not in CORRECTIONS:
            hint = did_you_mean(self.correction, CORRECTIONS)
            raise UserError(
                f"'{self.correction}' is not a correction.{hint}",
                fix=f"Use one of {', '.join(CORRECTIONS)}.",
            )

    @cached_property
    def window(self) -> Window:
        """Window of the correlations."""
        return Window(self.timestep, self.width)

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """Mask of the wavenumbers of the window that the spectra have."""
        return self.window.wavenumbers <= self.highest

    @cached_property
    def wavenumbers(self) -> NDArray[np.float64]:
        """Wavenumbers of the spectra, cm^-1."""
        return self.window.wavenumbers[self.kept]

    def of_values(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return S/kT of dx/dt: first of the whole series, then of blocks.

        The derivative is a difference over one step; its transfer function is divided out.

        Parameters
        ----------
        values
            x, (times, ...).
        """
        rates = np.diff(values, axis=0) / self.timestep
        transfer = np.sinc(self.wavenumbers * CM_PER_FS * self.timestep) ** 2
        return self.of_currents(rates) / transfer

    def of_currents(self, currents: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same for given rates per fs, (times, ...).

        Raises
        ------
        UserError
            For rates that are not finite, and for a series too short for the width.
        """
        if not np.isfinite(currents).all():
            raise UserError("A dipole, current or polarizability is not finite.")
        self._check_length(len(currents))
        rates = currents.reshape(len(currents), -1) / units.fs
        whole, blocks = spectral_densities(rates, self.window, self.n_blocks)
        return np.concatenate([whole[None], blocks])[:, self.kept] * self._scale()

    def curve(self, name: str, unit: str, densities: NDArray[np.float64]) -> Curve:
        """Return the curve of the whole series, with the error from the blocks."""
        return Curve(name, unit, densities[0], standard_error(densities[1:]))

    def _scale(self) -> NDArray[np.float64]:
        """Return 1/kT, times the ratio of the quantum correction to the harmonic one."""
        thermal = units.kB * self.temperature
        if self.correction == "harmonic":
            return np.full(len(self.wavenumbers), 1.0 / thermal)
        x = np.maximum(self.wavenumbers * units.invcm / thermal, 1e-12)
        return -np.expm1(-x) / (x * thermal)

    def _check_length(self, n_times: int) -> None:
        if n_times >= max(2 * self.window.depth, 2 * self.n_blocks):
            return
        length = n_times * self.timestep
        least = math.ceil(1.05 * narrowest_width(length)) if n_times else math.inf
        raise UserError(
            f"A trajectory of {1e-3 * length:.3g} ps does not resolve lines of"
            f" {self.width:g} cm^-1.",
            "width",
            f"Run it longer, or give a width of at least {least} cm^-1.",
        )
