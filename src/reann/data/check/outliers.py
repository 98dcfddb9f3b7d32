"""Outliers: values far outside a distribution, separated from its tail by a gap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GAP = 1.5
"""Factor between the smallest outlier and the largest ordinary value."""
FEW, A_FEW = 0.05, 3
"""Maximum fraction, or number, of values that can be outliers."""


def apart(values: NDArray[np.float64], limits: NDArray[np.float64]) -> list[int]:
    """Return the outliers, the largest first.

    Outliers exceed their limits, are few, and are separated from all other values by a gap, unlike
    the tail of a broad distribution such as that of random geometries.

    Parameters
    ----------
    values
        (n,), not negative
    limits
        (n,), the limit of each value
    """
    order = np.argsort(-values, kind="stable")
    most = int(max(FEW * len(values), A_FEW))
    count = 0
    for n in range(1, min(most, len(values) - 1) + 1):
        last, rest = order[n - 1], order[n]
        if values[last] <= limits[last]:
            break
        if values[last] >= GAP * values[rest]:
            count = n
    return order[:count].tolist()
