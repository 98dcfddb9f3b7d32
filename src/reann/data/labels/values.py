"""Values of a structure by key, from its info, arrays and calculator."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np

_SAME = 1e-4
"""Difference, in the units of the file, below which two keys hold the same label."""


def values_of(atoms: ase.Atoms) -> dict[str, Any]:
    """Return all values of a structure by key; results of its calculator take precedence."""
    results = atoms.calc.results if atoms.calc is not None else {}
    arrays = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    return {**arrays, **atoms.info, **{k: v for k, v in results.items() if v is not None}}


def number(value: Any) -> float:
    """Return a value as a number; NaN if it is not a number."""
    try:
        return float(np.asarray(value, dtype=np.float64).reshape(()))
    except (TypeError, ValueError):
        return float("nan")


def differ(first: Any, second: Any) -> bool:
    """Return whether two values cannot be the same label."""
    try:
        a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    except (TypeError, ValueError):
        return True
    return a.size != b.size or bool((np.abs(a.ravel() - b.ravel()) > _SAME).any())
