"""Values of a structure by key, from its info, arrays and calculator, and checks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.errors import UserError, listed, shortened
from reann.quantities import named

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


def numeric(
    values: Mapping[str, Any], key: str | None, shapes: list[tuple[int, ...]], origin: str
) -> NDArray[np.float64]:
    """Return a copy of a value, which has one of these shapes; `UserError` for any other value."""
    value = values[str(key)]
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(
            f"'{key}' is not numeric.",
            f"{origin} ({shortened(str(value), 40)!r})",
            "Write numbers without units, and separate the entries of the comment line by spaces.",
        ) from None
    if array.shape not in shapes and array.shape == (1,) and () in shapes:
        array = array.reshape(())
    if array.shape not in shapes:
        expected = " or ".join(str(shape) if shape else "a single number" for shape in shapes)
        six = " (six in the order xx yy zz yz xz xy)" if (6,) in shapes else ""
        raise UserError(
            f"The shape of '{key}' is {array.shape}; expected {expected}{six}.",
            origin,
            "Check the key and the Properties of the structure.",
        )
    return array


def check_finite(name: str, label: NDArray[np.float64], may_be_missing: bool, origin: str) -> None:
    """Raise `UserError` if a label or an input is infinite, or NaN unless it may be missing."""
    wrong = np.isinf(label) if may_be_missing else ~np.isfinite(label)
    if not wrong.any():
        return
    atoms = ""
    if named(name).per_atom:
        rows = wrong.reshape(len(wrong), -1).any(axis=1)
        atoms = f" at atom {listed(np.flatnonzero(rows))}"
    value = label[wrong].flat[0]
    fix = "Remove the structure"
    fix += "." if np.isinf(value) else ", or set data.missing to allow (NaN is then ignored)."
    raise UserError(f"The {name} {named(name).verb} {value}{atoms}.", origin, fix)
