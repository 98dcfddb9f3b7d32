"""Errors as running sums: RMSE and MAE, in total, per element and per group.

Units are those of `reann.quantities`, such as meV/Å for forces, and are part of the names. The
relative RMSE of a quantity that is not derived from the energy is the RMSE of its values divided by
their standard deviation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reann import quantities
from reann.arbitrary_sign import with_better_sign
from reann.error_measures import PERCENT, key
from reann.graph import Graph
from reann.quantities import Quantity


def residuals(predicted: Mapping[str, Tensor], graph: Graph) -> dict[str, Tensor]:
    """Return the errors of all values with a label, flat, in the units of errors."""
    errors = {}
    for quantity in quantities.labels():
        name = quantity.name
        if name in predicted and name in graph.labels:
            label = graph.labels[name]
            value = with_better_sign(quantity, predicted[name].detach(), label)
            error = quantity.error_unit.factor * (value - label)
            if quantity.per_size:
                n_atoms = graph.atoms_per_system
                error = error / n_atoms.view(-1, *(1 for _ in quantity.shape))
            # A prediction that is NaN is an error, not a missing value.
            errors[name] = error[torch.isfinite(label)]
    return errors


def relative_rmse(quantity: Quantity, predicted: NDArray, reference: NDArray) -> float:
    """Return the RMSE in % of the standard deviation of the components about their means.

    For quantities with an arbitrary sign, the mean is zero. NaN if all references are equal.
    """
    rows = np.isfinite(reference).reshape(len(reference), -1).all(1)
    r, p = (x[rows].reshape(rows.sum(), -1) for x in (reference, predicted))
    about = 0.0 if quantity.sign_is_arbitrary or not len(r) else r.mean(0)
    spread = np.square(r - about).sum()
    if not spread > 1e-20 * np.square(r).sum():
        return float("nan")
    return PERCENT.factor * float(np.sqrt(np.square(p - r).sum() / spread))


class Errors:
    """Count, sum of absolute values and sum of squares of the errors of each label."""

    def __init__(self) -> None:
        self.sums = {name: np.zeros(3) for name in quantities.label_names()}

    def add(self, errors: Mapping[str, Tensor]) -> None:
        """Add the residuals of a batch."""
        for name, error in errors.items():
            x = error.to(torch.float64)
            self.sums[name] += [x.numel(), x.abs().sum().item(), x.square().sum().item()]

    def table(self) -> np.ndarray:
        """Return the sums as (labels, 3), for saving or adding over processes."""
        return np.stack(list(self.sums.values()))

    @classmethod
    def from_table(cls, table: np.ndarray) -> Errors:
        """Return the errors with this `table`, which may be of a version with fewer labels."""
        errors = cls()
        errors.sums |= {name: row.copy() for name, row in zip(errors.sums, table, strict=False)}
        return errors

    def summary(self) -> dict[str, float]:
        """Return errors such as `forces_rmse_meV_per_A` for all labels with values."""
        errors = {}
        for name, (count, absolute, squares) in self.sums.items():
            if count:
                errors[key(name, "rmse")] = float(np.sqrt(squares / count))
                errors[key(name, "mae")] = float(absolute / count)
        return errors
