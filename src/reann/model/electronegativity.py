"""Electronegativities of the elements on Pauling's scale.

Allred, J. Inorg. Nucl. Chem. 17, 215 (1961), by atomic number; elements without a value are absent.
"""

from __future__ import annotations

from typing import Final

_ROWS = {
    1: [2.20],
    3: [0.98, 1.57, 2.04, 2.55, 3.04, 3.44, 3.98],
    11: [0.93, 1.31, 1.61, 1.90, 2.19, 2.58, 3.16],
    19: [0.82, 1.00, 1.36, 1.54, 1.63, 1.66, 1.55, 1.83, 1.88, 1.91, 1.90, 1.65],
    31: [1.81, 2.01, 2.18, 2.55, 2.96],
    37: [0.82, 0.95, 1.22, 1.33, 1.60, 2.16, 1.90, 2.20, 2.28, 2.20, 1.93, 1.69],
    49: [1.78, 1.96, 2.05, 2.10, 2.66],
    55: [0.79, 0.89, 1.10],
    72: [1.30, 1.50, 2.36, 1.90, 2.20, 2.20, 2.28, 2.54, 2.00, 1.62, 2.33, 2.02],
}
"""Values of consecutive elements by the first atomic number."""
PAULING: Final[dict[int, float]] = {
    first + k: value for first, values in _ROWS.items() for k, value in enumerate(values)
}
