"""The loss of the validation set: of all structures, and of those that choose the best epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reann.evaluation.metrics import Errors
from reann.training.loss import ALL, Counts

LEFT_OUT = 0.05
"""Part of the validation structures, those with the largest misfits, that do not choose weights."""


class Validation(NamedTuple):
    """The validation of an epoch."""

    losses: NDArray[np.float64]
    """Contribution of each structure to the loss of the validation set, (structures,)."""
    misfits: NDArray[np.float64]
    """As in `of_most`, (structures,)."""
    errors: Errors

    @property
    def loss(self) -> float:
        """Loss of the validation set."""
        return float(self.losses.sum())

    @property
    def loss_of_most(self) -> float:
        """Loss of most structures, which chooses the best epoch."""
        return of_most(self.losses, self.misfits)


def of_most(losses: NDArray[np.float64], misfits: NDArray[np.float64]) -> float:
    """Return the sum of the losses of structures without the largest misfits, a part `LEFT_OUT`.

    A few labels that no potential can fit, such as wrong ones or those where electronic states
    cross, would otherwise decide which epoch is the best for all structures. NaN if a loss is not
    finite.

    Parameters
    ----------
    losses
        Contribution of each structure to the loss, (structures,).
    misfits
        Mean misfit of the labels of each structure, (structures,), see `misfits_of`.
    """
    if not np.isfinite(losses).all():
        return float("nan")
    n = len(losses) - int(LEFT_OUT * len(losses))
    return float(losses[np.argsort(misfits, kind="stable")[:n]].sum())


def counts_as_if_all_had_each(
    counts: Counts, of_structures: Mapping[str, NDArray[np.float64]]
) -> dict[str, float]:
    """Return counts of finite label values, scaled as if all structures had each label.

    A label that only few structures have has large contributions to the loss, because these are
    divided by their number. With the scaled counts, they do not depend on it.

    Parameters
    ----------
    counts
        Number of finite values of each label, and of structures under `ALL`.
    of_structures
        Number of finite values of each label in each structure, (structures,).
    """
    n_labeled = {name: float((n > 0).sum()) for name, n in of_structures.items()}
    n = counts[ALL]
    return {k: x * n / n_labeled[k] if n_labeled.get(k) else x for k, x in counts.items()}


def misfits_of(
    sums: NDArray[np.float64],
    factors: Mapping[str, float],
    of_structures: Mapping[str, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the mean misfit of the labels of each structure: it may have few or many labels.

    Parameters
    ----------
    sums
        Contributions of the structures to the loss with `counts_as_if_all_had_each`.
    factors
        Factor of each label in the loss.
    of_structures
        As in `counts_as_if_all_had_each`.
    """
    weights = np.zeros(len(sums))
    for name, factor in factors.items():
        weights += factor * (of_structures[name] > 0)
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)


def of_judged_labels(valid: Counts, train: Counts) -> dict[str, float]:
    """Return counts of the validation set without those of labels that training cannot fit.

    Without energies in the training set, the constants of predicted energies are arbitrary, and
    their errors would choose the best epoch by chance.
    """
    return {name: n for name, n in valid.items() if name != "energy" or train.get("energy")}
