"""Whether a training has learned anything, and advice if it has not."""

from __future__ import annotations

from collections.abc import Mapping

from reann.training.state import Progress

GAIN = 0.99
"""An error above this fraction of the baseline is not an improvement."""


def nothing_learned(
    progress: Progress, baseline: Mapping[str, float], *, warm_start: bool
) -> str | None:
    """Return the reason why the saved weights are not an improvement; None if they are.

    Parameters
    ----------
    progress
        Progress at the end of the training.
    baseline
        Validation errors of the reference energies alone, such as `energy_rmse_meV_per_atom`.
    warm_start
        Whether the initial weights came from another potential.
    """
    errors = progress.best_errors
    if progress.start > 0:
        if progress.best_epoch > progress.start:
            return None
        return f"no epoch after epoch {progress.start} has a lower validation loss"
    if progress.best_epoch == 0:
        before = "the potential it started from" if warm_start else "before any training"
        return f"epoch 0, {before}, has the lowest validation loss"
    compared = [name for name in errors if name in baseline]
    if compared and all(errors[name] >= GAIN * baseline[name] for name in compared):
        return "the validation errors are those of the reference energies without a network"
    return None


def advice(reason: str, *, epochs: int, n_train: int, rate: float) -> str:
    """Return a warning for a run in which nothing was learned."""
    return (
        f"Nothing was learned: {reason}. Likely causes: labels that are zero, constant or random, "
        "or read with a wrong key or unit (see `reann check`); too few epochs "
        f"({epochs}) or training structures ({n_train}); a training.learning_rate ({rate:g}) "
        "that is too high or too low; a validation set that differs from the training set."
    )
