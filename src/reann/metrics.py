"""Errors as running sums: RMSE and MAE, all in all, per element and per group.

Units are in the names: meV/atom for energies, meV/Å for forces, meV/Å^3 for stress.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from reann.graph import Graph

UNITS = {
    "energy": "meV_per_atom",
    "forces": "meV_per_A",
    "stress": "meV_per_A3",
}
LABELS = tuple(UNITS)


def residuals(predicted: Mapping[str, Tensor], graph: Graph) -> dict[str, Tensor]:
    """Return errors in meV/atom (systems,), meV/Å (atoms, 3) and meV/Å^3 (systems, 3, 3)."""
    found = {
        name: 1e3 * (predicted[name].detach() - graph.labels[name])
        for name in LABELS
        if name in predicted and name in graph.labels
    }
    if "energy" in found:
        found["energy"] = found["energy"] / graph.atoms_per_system
    return found


class Errors:
    """Count, sum of absolute values and sum of squares of each label's errors."""

    def __init__(self) -> None:
        self.sums = {name: np.zeros(3) for name in LABELS}

    def add(self, errors: Mapping[str, Tensor]) -> None:
        """Add the residuals of a batch; NaN is a missing label."""
        for name, error in errors.items():
            x = error[torch.isfinite(error)].to(torch.float64)
            self.sums[name] += [x.numel(), x.abs().sum().item(), x.square().sum().item()]

    def table(self) -> np.ndarray:
        """Return the sums as (labels, 3), to be saved or added over processes."""
        return np.stack([self.sums[name] for name in LABELS])

    @classmethod
    def from_table(cls, table: np.ndarray) -> Errors:
        """Return the errors whose `table` this is."""
        errors = cls()
        errors.sums = {name: row.copy() for name, row in zip(LABELS, table, strict=True)}
        return errors

    def summary(self) -> dict[str, float]:
        """Return such as `forces_rmse_meV_per_A`, for labels that occurred."""
        found = {}
        for name, (count, absolute, squares) in self.sums.items():
            if count:
                found[f"{name}_rmse_{UNITS[name]}"] = float(np.sqrt(squares / count))
                found[f"{name}_mae_{UNITS[name]}"] = float(absolute / count)
        return found
