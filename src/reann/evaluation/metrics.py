"""Errors as running sums: RMSE and MAE, all in all, per element and per group.

Units are those of `reann.quantities`, such as meV/Å for forces, and part of the names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from reann import quantities
from reann.graph import Graph


def key(name: str, measure: str) -> str:
    """Return the name of an error, such as `forces_rmse_meV_per_A`."""
    return f"{name}_{measure}_{quantities.named(name).error_unit.suffix}"


def residuals(predicted: Mapping[str, Tensor], graph: Graph) -> dict[str, Tensor]:
    """Return the errors, in the units of errors, of every value that has a label, flat."""
    errors = {}
    for quantity in quantities.labels():
        name = quantity.name
        if name in predicted and name in graph.labels:
            label = graph.labels[name]
            error = quantity.error_unit.factor * (predicted[name].detach() - label)
            if quantity.per_size:
                n_atoms = graph.atoms_per_system
                error = error / n_atoms.view(-1, *(1 for _ in quantity.shape))
            # By the label: a prediction that is NaN is an error, not a missing value.
            errors[name] = error[torch.isfinite(label)]
    return errors


class Errors:
    """Count, sum of absolute values and sum of squares of each label's errors."""

    def __init__(self) -> None:
        self.sums = {name: np.zeros(3) for name in quantities.label_names()}

    def add(self, errors: Mapping[str, Tensor]) -> None:
        """Add the residuals of a batch."""
        for name, error in errors.items():
            x = error.to(torch.float64)
            self.sums[name] += [x.numel(), x.abs().sum().item(), x.square().sum().item()]

    def table(self) -> np.ndarray:
        """Return the sums as (labels, 3), to be saved or added over processes."""
        return np.stack(list(self.sums.values()))

    @classmethod
    def from_table(cls, table: np.ndarray) -> Errors:
        """Return the errors whose `table` this is, or that of a version with fewer labels."""
        errors = cls()
        errors.sums |= {name: row.copy() for name, row in zip(errors.sums, table, strict=False)}
        return errors

    def summary(self) -> dict[str, float]:
        """Return such as `forces_rmse_meV_per_A`, for labels that occurred."""
        errors = {}
        for name, (count, absolute, squares) in self.sums.items():
            if count:
                errors[key(name, "rmse")] = float(np.sqrt(squares / count))
                errors[key(name, "mae")] = float(absolute / count)
        return errors
