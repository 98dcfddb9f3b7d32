"""One sentence at the end of a training: under- or overfitted, and what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reann.config import Config
from reann.error_measures import key
from reann.evaluation.comparison import Evaluation
from reann.evaluation.quality import GAP, LARGE_GAP, gap_of
from reann.quantities import labels
from reann.report.page import train_error

LARGEST = "accurate"
"""The preset with the most parameters."""
FEWEST_TRAINED, FEWEST_VALIDATED = 50, 10
"""With fewer structures, the ratio of the errors says nothing."""


def advice_of(
    config: Config,
    history: Sequence[Mapping[str, Any]],
    valid: Evaluation,
    folder: Path,
    *,
    n_train: int,
    baseline: Mapping[str, float],
) -> str | None:
    """Return the advice; None without forces in the training and validation sets.

    It depends on the ratio of the errors of the forces in validation and training, with the limits
    of the verdict of the report.

    Parameters
    ----------
    n_train
        Number of training structures.
    baseline
        Validation errors without a network, such as `energy_rmse_meV_per_atom`.
    """
    ratio = gap_of(valid.residuals(), train_error(history))
    if ratio is None or not math.isfinite(ratio):
        return None
    longer = f"`reann resume {folder} training.epochs={2 * config.training.epochs}`"
    n_valid = valid.n_structures
    few = "too few structures to judge whether the model is overfitted"
    few += f" ({n_train} for training, {n_valid} for validation)"
    are_few = n_train < FEWEST_TRAINED or n_valid < FEWEST_VALIDATED
    worse = _worse_than(baseline, valid)
    if worse:
        also = f" Besides, {few}: add data." if are_few else ""
        return f"{worse}. Train longer ({longer}).{also}"
    if are_few:
        return (
            f"{few}. Add data: at least {FEWEST_TRAINED} structures for training and"
            f" {FEWEST_VALIDATED} for validation."
        )
    start = f"force errors in validation are {ratio:.1f} times those in training"
    if ratio > LARGE_GAP:
        return (
            f"overfitted: {start}. Use more data (`reann select` chooses structures) or a smaller"
            " model."
        )
    if ratio > GAP:
        return (
            f"slightly overfitted: {start}. Train longer ({longer}). If the validation errors no"
            " longer fall, add data; `reann curve` estimates how much they help."
        )
    larger = "" if config.model.preset == LARGEST else f", or use model.preset={LARGEST}"
    return f"not overfitted: {start}. To reduce the errors, train longer ({longer}){larger}."


def _worse_than(baseline: Mapping[str, float], valid: Evaluation) -> str:
    """Return which validation errors exceed those without a network; empty if none does."""
    errors = valid.summary()
    worse = [
        f"{q.name} {errors[name]:.2f} instead of {baseline[name]:.2f} {q.error_unit.shown}"
        for q in labels()
        if (name := key(q.name, "rmse")) in baseline and errors.get(name, 0.0) > baseline[name]
    ]
    return f"validation errors are larger than without a network: {', '.join(worse)}" * bool(worse)
