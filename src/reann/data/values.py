"""What a structure carries by key, wherever it sits, and its values as numbers."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np

_SAME = 1e-4
"""Two keys that differ less, in the units of the file, hold the same label."""


def values_of(atoms: ase.Atoms) -> dict[str, Any]:
    """Return everything a structure carries by key; results of its calculator go first."""
    results = atoms.calc.results if atoms.calc is not None else {}
    arrays = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    return {**arrays, **atoms.info, **{k: v for k, v in results.items() if v is not None}}


def number(value: Any) -> float:
    """Return a value as a number, NaN where it is none."""
    try:
        return float(np.asarray(value, dtype=np.float64).reshape(()))
    except (TypeError, ValueError):
        return float("nan")


def differ(first: Any, second: Any) -> bool:
    """Whether two values cannot be the same label."""
    try:
        one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    except (TypeError, ValueError):
        return True
    return one.size != two.size or bool((np.abs(one.ravel() - two.ravel()) > _SAME).any())
