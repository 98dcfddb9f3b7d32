"""Errors as running sums: RMSE and MAE, all in all, per element and per group.

Units are in the names: meV/atom for energies, meV/Å for forces, meV/Å^3 for stress.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from reann.graph import LABELS, Graph

UNITS = {
    "energy": "meV_per_atom",
    "forces": "meV_per_A",
    "stress": "meV_per_A3",
}


def residuals(predicted: Mapping[str, Tensor], graph: Graph) -> dict[str, Tensor]:
    """Return errors in meV/atom, meV/Å and meV/Å^3 of every value that has a label, flat."""
    found = {}
    for name in LABELS:
        if name in predicted and name in graph.labels:
            label = graph.labels[name]
            error = 1e3 * (predicted[name].detach() - label)
            if name == "energy":
                error = error / graph.atoms_per_system
            # By the label: a prediction that is NaN is an error, not a missing value.
            found[name] = error[torch.isfinite(label)]
    return found


class Errors:
    """Count, sum of absolute values and sum of squares of each label's errors."""

    def __init__(self) -> None:
        self.sums = {name: np.zeros(3) for name in LABELS}

    def add(self, errors: Mapping[str, Tensor]) -> None:
        """Add the residuals of a batch."""
        for name, error in errors.items():
            x = error.to(torch.float64)
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
