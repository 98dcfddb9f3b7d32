"""Formatting of numbers in sentences."""

from __future__ import annotations

import math

from reann.report.svg import MINUS, SUPERSCRIPTS


def short(x: float) -> str:
    """Return a number with two digits, as ``0.012`` or ``5.4×10⁻¹⁴``; – if it is not finite."""
    if not math.isfinite(x):
        return "–"
    if x == 0 or 1e-3 <= abs(x) < 1e4:
        return (f"{x:.2g}" if abs(x) < 100 else f"{x:.0f}").replace("-", MINUS)
    mantissa, exponent = f"{x:.1e}".split("e")
    power = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return power if mantissa == "1.0" else f"{mantissa.replace('-', MINUS)}×{power}"


def fixed(x: float, digits: int) -> str:
    """Return a number with this many decimals; one that is rounded to zero has no sign."""
    return f"{round(x, digits) + 0.0:.{digits}f}".replace("-", MINUS)
