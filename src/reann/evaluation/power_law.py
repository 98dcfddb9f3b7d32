"""Errors that fall with a power of the number of structures, and what more structures bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.quantities import named

FLAT = 0.08
"""Part of the error that twice the data must save, so that more data are worth their cost."""


@dataclass(frozen=True)
class PowerLaw:
    """error = amplitude * n^-exponent, fitted to the logarithms."""

    label: str
    n_train: NDArray[np.int64]
    errors: NDArray[np.float64]
    """RMSE in the error unit of the label."""
    exponent: float
    uncertainty: float
    """Standard error of the exponent; NaN for two points."""
    amplitude: float

    def at(self, n: NDArray[np.float64] | float) -> Any:
        """Return the error with n structures."""
        return self.amplitude * np.asarray(n, dtype=np.float64) ** -self.exponent

    @property
    def saved_by_twice(self) -> float:
        """Part of the error that twice the data save."""
        return 1.0 - 2.0**-self.exponent

    @property
    def more_data_help(self) -> bool:
        """Whether twice the data save a part of the error that is worth their cost."""
        return self.saved_by_twice >= FLAT

    def sentence(self) -> str:
        """Return the result in words."""
        unit = named(self.label).error_unit.shown
        largest = int(self.n_train[-1])
        error = "" if np.isnan(self.uncertainty) else f" ± {self.uncertainty:.2f}"
        start = (
            f"The error of the {self.label} falls with the power {self.exponent:.2f}{error} of the"
            f" number of structures, {self.errors[-1]:.3g} {unit} with {largest}. "
        )
        if self.more_data_help:
            twice = float(self.at(2.0 * largest))
            return start + (
                f"Twice as many would give about {twice:.3g} {unit}, less by"
                f" {100 * self.saved_by_twice:.0f} %: more data help."
            )
        return start + (
            f"Twice as many would save {100 * self.saved_by_twice:.0f} %: more of the same data"
            " help little. Try a larger model, a longer training, more precise labels, or other"
            " data."
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain numbers and words."""
        return {
            "label": self.label,
            "exponent": self.exponent,
            "exponent_error": None if np.isnan(self.uncertainty) else self.uncertainty,
            "amplitude": self.amplitude,
            "more_data_help": self.more_data_help,
            "sentence": self.sentence(),
        }


def fitted(label: str, n_train: NDArray[np.int64], errors: NDArray[np.float64]) -> PowerLaw:
    """Return the least-squares power law of errors over numbers of structures, ascending."""
    x, y = np.log(n_train), np.log(np.maximum(errors, 1e-300))
    slope, intercept = np.polyfit(x, y, 1)
    uncertainty = float("nan")
    if len(x) > 2:
        left = y - slope * x - intercept
        spread = np.square(x - x.mean()).sum()
        uncertainty = float(np.sqrt(np.square(left).sum() / (len(x) - 2) / spread))
    amplitude = float(np.exp(intercept))
    return PowerLaw(label, n_train, errors, float(-slope), uncertainty, amplitude)
