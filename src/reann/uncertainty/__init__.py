"""Uncertainty of a potential: draws of the last layer, and factors fitted on a validation set."""

from reann.uncertainty.calibrate import Calibrated, calibrate

__all__ = ["Calibrated", "calibrate"]
