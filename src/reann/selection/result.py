"""What a selection returns: structures, and why each was chosen or rejected."""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np
from numpy.typing import NDArray

INFO = "select_"
"""Before the keys that a chosen structure has in `info`."""


@dataclass(frozen=True)
class Reason:
    """Why a structure was chosen."""

    spread: float
    """Largest uncertainty of a force in it, the length of its standard deviation: eV/Å."""
    unit: str
    """eV/Å; of a single potential that is not calibrated, `medians`: those of the pool."""
    atom: int
    """Index of the atom with this force."""
    element: str
    """Of this atom."""
    distance: float
    """From the nearest structure of the training or chosen before, in the space of the features;
    1 is the median distance of a training structure from its nearest neighbor."""
    left: float
    """Part of its spread that the structures chosen before do not explain, from 0 to 1."""

    def __str__(self) -> str:
        """Return the reason as a phrase."""
        return (
            f"spread {self.spread:.3g} {self.unit} at {self.element} {self.atom},"
            f" {self.left:.0%} of it not explained by earlier choices,"
            f" distance {self.distance:.2g} from the nearest known structure"
        )

    def info(self, order: int, index: int) -> dict[str, int | float | str]:
        """Return what the file of the chosen structures says of this one."""
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
    """The structures chosen from a pool, best first."""

    atoms: list[ase.Atoms]
    """Copies, with the reasons in `info` under keys that begin with `select_`."""
    indices: list[int]
    """Of the chosen structures in the pool."""
    reasons: list[Reason]
    rejected: dict[int, str]
    """Why structures of the pool, by their index, could not be chosen."""
    spread: NDArray[np.float64]
    """Largest uncertainty of a force of each structure of the pool, in the unit of the reasons;
    NaN where rejected."""
    features: NDArray[np.float64]
    """Of the pool, (structures, features), means over the atoms of each element; NaN where
    rejected."""
    training_features: NDArray[np.float64]
    """Of the training structures, (structures, features)."""

    def rejections(self) -> dict[str, int]:
        """Return the number of structures that were rejected for each kind of reason."""
        kinds = [why.partition(":")[0] for why in self.rejected.values()]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
