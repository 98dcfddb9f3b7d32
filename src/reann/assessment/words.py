"""Formatting of numbers in sentences."""

from __future__ import annotations

from reann.report.svg import SUPERSCRIPTS


def short(x: float) -> str:
    """Return a number with two digits, as ``0.012`` or ``5.4×10⁻¹⁴``."""
    if x == 0 or 1e-3 <= abs(x) < 1e4:
        return f"{x:.2g}" if abs(x) < 100 else f"{x:.0f}"
    mantissa, exponent = f"{x:.1e}".split("e")
    power = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return power if mantissa == "1.0" else f"{mantissa}×{power}"
