"""Names and units of errors, such as `forces_rmse_meV_per_A`, and errors in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from reann import quantities
from reann.quantities import ErrorUnit

PERCENT = ErrorUnit("%", "percent", 100.0)


def key(name: str, measure: str) -> str:
    """Return the name of an error, such as `forces_rmse_meV_per_A` or `dipole_rrmse_percent`."""
    return f"{name}_{measure}_{unit_of(name, measure).suffix}"


def unit_of(name: str, measure: str) -> ErrorUnit:
    """Return the unit of an error: `rmse`, `mae`, or `rrmse` (relative)."""
    return PERCENT if measure == "rrmse" else quantities.named(name).error_unit


def percentage(value: float) -> str:
    """Return a percentage with two digits, without an exponent."""
    return f"{value:.2g}" if abs(value) < 99.5 else f"{value:.0f}"


def sentence(errors: Mapping[str, float]) -> str:
    """Return the RMSE of each label with its unit, and relative to the standard deviation."""
    parts = []
    for quantity in quantities.labels():
        x, percent = (errors.get(key(quantity.name, measure)) for measure in ("rmse", "rrmse"))
        if x is not None:
            relative = (
                "" if percent is None else f" ({percentage(percent)} % of the standard deviation)"
            )
            parts.append(f"{quantity.name} {x:.2f} {quantity.error_unit.shown}{relative}")
    return " · ".join(parts)
