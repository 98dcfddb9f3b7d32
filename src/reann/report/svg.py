"""Simple SVG figures: axes with linear or logarithmic ticks, and marks in data coordinates.

Colors are CSS classes, so that the style sheet controls light mode, dark mode and print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any] | Sequence[float] | float

LEFT, RIGHT, TOP, BOTTOM = 62, 17, 12, 44
MINUS = "\u2212"
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass
class Axes:
    """Axes of a figure.

    Attributes
    ----------
    x, y
        Limits in units of the data.
    xlabel, ylabel
        Labels with units.
    title, description
        Text for screen readers.
    xwhole, ylog
        Whether the ticks of x are integers, and whether y is logarithmic.
    xnames, ynames
        Positions and labels of ticks instead of numbers.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    xlabel: str
    ylabel: str
    title: str
    description: str
    xwhole: bool = False
    ylog: bool = False
    width: int = 380
    height: int = 300
    xnames: Sequence[tuple[float, str]] | None = None
    ynames: Sequence[tuple[float, str]] | None = None
    marks: list[str] = field(default_factory=list)

    def px(self, x: Values) -> Any:
        """Return horizontal pixels, an array or a number."""
        return LEFT + _fraction(x, self.x, log=False) * (self.width - LEFT - RIGHT)

    def py(self, y: Values) -> Any:
        """Return vertical pixels, an array or a number."""
        return (
            self.height
            - BOTTOM
            - _fraction(y, self.y, log=self.ylog) * (self.height - TOP - BOTTOM)
        )

    def line(self, x: Values, y: Values, style: str) -> None:
        """Draw a line, interrupted where y is not finite."""
        px, py = self.px(x), self.py(y)
        finite = np.isfinite(px) & np.isfinite(py)
        for run in np.split(np.arange(len(px)), np.flatnonzero(~finite)):
            points = run[finite[run]]
            if len(points) == 1:
                self.circle(float(px[points[0]]), float(py[points[0]]), 2.0, style + " alone")
            elif len(points):
                d = "L".join(
                    f"{a:.1f} {b:.1f}" for a, b in zip(px[points], py[points], strict=True)
                )
                self.marks.append(f'<path class="line {style}" d="M{d}"/>')

    def circle(self, px: float, py: float, radius: float, style: str, label: str = "") -> None:
        """Draw a disk at pixels; `label` is its tooltip."""
        inside = f"<title>{escape(label)}</title>" if label else ""
        self.marks.append(
            f'<circle class="{style}" cx="{px:.1f}" cy="{py:.1f}" r="{radius}">{inside}</circle>'
        )

    def dots(self, x: Values, y: Values, style: str) -> None:
        """Draw many small disks as one path."""
        px, py = self.px(x), self.py(y)
        d = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(px, py, strict=True))
        self.marks.append(f'<path class="dots {style}" d="{d}"/>')

    def band(self, x: Values, low: Values, high: Values) -> None:
        """Fill the area between two lines."""
        px, below, above = self.px(x), self.py(low), self.py(high)
        outline = zip([*px, *px[::-1]], [*above, *below[::-1]], strict=True)
        d = "L".join(f"{a:.1f} {b:.1f}" for a, b in outline)
        self.marks.append(f'<path class="band" d="M{d}Z"/>')

    def sticks(self, x: Values, y: Values) -> None:
        """Draw vertical lines from zero."""
        px, py, zero = self.px(x), self.py(y), float(self.py(0.0))
        d = "".join(f"M{a:.1f} {zero:.1f}V{b:.1f}" for a, b in zip(px, py, strict=True))
        self.marks.append(f'<path class="sticks" d="{d}"/>')

    def squares(self, px: NDArray, py: NDArray, size: float, style: str, opacity: float) -> None:
        """Draw squares of one color, given by the pixels of their upper left corners."""
        d = "".join(
            f"M{a:.1f} {b:.1f}h{size:.1f}v{size:.1f}h-{size:.1f}z"
            for a, b in zip(px, py, strict=True)
        )
        self.marks.append(f'<path class="{style}" opacity="{opacity:.2f}" d="{d}"/>')

    def text(self, px: float, py: float, text: str, style: str = "") -> None:
        """Write text at pixels."""
        self.marks.append(f'<text class="{style}" x="{px:.1f}" y="{py:.1f}">{escape(text)}</text>')

    def render(self) -> str:
        """Return the SVG element."""
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        parts = []
        across = ticks(*self.x, whole=self.xwhole) if self.xnames is None else self.xnames
        for value, label in across:
            at = float(self.px(value))
            parts.append(f'<path class="grid" d="M{at:.1f} {TOP}V{bottom}"/>')
            parts.append(f'<text class="tick mid" x="{at:.1f}" y="{bottom + 17}">{label}</text>')
        upward = ticks(*self.y, log=self.ylog) if self.ynames is None else self.ynames
        for value, label in upward:
            at = float(self.py(value))
            parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{right}"/>')
            parts.append(f'<text class="tick end" x="{LEFT - 7}" y="{at + 4:.1f}">{label}</text>')
        middle = (TOP + bottom) / 2
        parts += self.marks
        parts.append(
            f'<text class="axis mid" x="{(LEFT + right) / 2}" y="{self.height - 7}">'
            f"{escape(self.xlabel)}</text>"
            f'<text class="axis mid" transform="translate(13 {middle}) rotate(-90)">'
            f"{escape(self.ylabel)}</text>"
        )
        return (
            f'<svg class="plot" role="img" viewBox="0 0 {self.width} {self.height}">'
            f"<title>{escape(self.title)}</title><desc>{escape(self.description)}</desc>"
            f"{''.join(parts)}</svg>"
        )


def _fraction(values: Values, limits: tuple[float, float], *, log: bool) -> Any:
    low, high = limits
    x = np.asarray(values, dtype=np.float64)
    if log:
        x = np.log(np.where(x > 0, x, np.nan))
        low, high = math.log(low), math.log(high)
    return (x - low) / (high - low)


def ticks(
    low: float, high: float, *, log: bool = False, whole: bool = False
) -> list[tuple[float, str]]:
    """Return round numbers between two limits, and their text."""
    if log and high / low > 8:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        span = math.log10(high / low)
        digits: Sequence[float] = (1, 2, 5) if span < 2.5 else (1,)
        step = max(1, math.ceil(span / 6))
        values = [d * 10.0**n for n in decades if n % step == 0 for d in digits]
    else:
        rough = max((high - low) / 7, 1.0 if whole else 0.0)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(s for s in (power, 2 * power, 5 * power, 10 * power) if s >= 0.999 * rough)
        first = math.ceil(low / step - 1e-9)
        values = [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
    slack = 1e-9 * (high - low)
    return [(x, written(x)) for x in values if low - slack <= x <= high + slack]


def written(x: float) -> str:
    """Return the text of a tick."""
    if x == 0:
        return "0"
    if 1e-3 <= abs(x) < 1e5:
        text = f"{x:.6g}"
    else:
        mantissa, exponent = f"{x:.3g}".split("e") if "e" in f"{x:.3g}" else f"{x:.2e}".split("e")
        power = str(int(exponent)).translate(SUPERSCRIPTS)
        mantissa = f"{float(mantissa):g}"
        text = ("" if mantissa == "1" else f"{mantissa}×") + f"10{power}"
    return text.replace("-", MINUS)
