"""Arrays of several structures, one after the other: rows of some of them, counts in each.

`first` contains the index of the first row of each structure, and at its end the number of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pieces(
    array: NDArray[Any], first: NDArray[np.int64], indices: NDArray[np.int64]
) -> NDArray[Any]:
    """Return the rows of some structures, one after the other."""
    if len(indices) == 0:
        return array[:0].copy()
    starts, ends = first[indices], first[indices + 1]
    return np.concatenate([array[a:b] for a, b in zip(starts, ends, strict=True)])


def counts(flags: NDArray[np.bool_], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of true rows of each structure, (structures,)."""
    return np.diff(np.concatenate([[0], np.cumsum(flags)])[first])
