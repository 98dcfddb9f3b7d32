"""Result of a selection: chosen structures, and the reasons of choices and rejections."""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np
from numpy.typing import NDArray

INFO = "select_"
"""Prefix of the keys in `info` of chosen structures."""


@dataclass(frozen=True)
class Reason:
    """Why a structure was chosen."""

    spread: float
    """Largest uncertainty of a force, as the length of its standard deviation, in `unit`."""
    unit: str
    """eV/Å, or `medians` (of the pool) for a single potential that is not calibrated."""
    atom: int
    """Index of the atom with this force."""
    element: str
    """Element of this atom."""
    distance: float
    """Distance to the nearest structure of the training data or chosen before, in feature space;
    1 is the median distance between nearest neighbors in the training data."""
    left: float
    """Fraction of the spread that earlier choices do not explain, from 0 to 1."""

    def __str__(self) -> str:
        """Return the reason as a phrase."""
        return (
            f"spread {self.spread:.3g} {self.unit} at {self.element} {self.atom},"
            f" {self.left:.0%} of it not explained by earlier choices,"
            f" distance {self.distance:.2g} from the nearest known structure"
        )

    def info(self, order: int, index: int) -> dict[str, int | float | str]:
        """Return the entries of `info` for the file of chosen structures."""
        return {
            f"{INFO}order": order,
            f"{INFO}index": index,
            f"{INFO}spread": round(self.spread, 6),
            f"{INFO}spread_unit": self.unit,
            f"{INFO}atom": self.atom,
            f"{INFO}distance": round(self.distance, 4),
            f"{INFO}left": round(self.left, 4),
        }


@dataclass(frozen=True, eq=False)
class Selection:
    """Structures chosen from a pool, best first."""

    atoms: list[ase.Atoms]
    """Copies, with the reasons in `info` under keys that begin with `select_`."""
    indices: list[int]
    """Indices of the chosen structures in the pool."""
    reasons: list[Reason]
    rejected: dict[int, str]
    """Reasons of rejection by the index in the pool."""
    spread: NDArray[np.float64]
    """Largest uncertainty of a force of each structure of the pool, in the unit of the reasons;
    NaN where rejected."""
    features: NDArray[np.float64]
    """Features of the pool, (structures, features): means over the atoms of each element; NaN for
    rejected structures."""
    training_features: NDArray[np.float64]
    """Features of the training structures, (structures, features)."""

    def rejections(self) -> dict[str, int]:
        """Return the number of rejected structures by kind of reason."""
        kinds = [why.partition(":")[0] for why in self.rejected.values()]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
