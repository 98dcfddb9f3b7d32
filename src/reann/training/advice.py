"""One sentence at the end of a training: under- or overfitted, and what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reann.config import Config
from reann.evaluation.comparison import Evaluation
from reann.evaluation.quality import GAP, LARGE_GAP, gap_of
from reann.report.page import train_error

LARGEST = "accurate"
"""The preset with the most parameters."""


def advice_of(
    config: Config, history: Sequence[Mapping[str, Any]], valid: Evaluation, folder: Path
) -> str | None:
    """Return the advice; None without forces in the training and validation sets.

    It depends on the ratio of the errors of the forces in validation and training, with the limits
    of the verdict of the report.
    """
    ratio = gap_of(valid.residuals(), train_error(history))
    if ratio is None or not math.isfinite(ratio):
        return None
    start = f"force errors in validation are {ratio:.2g} times those in training"
    if ratio > LARGE_GAP:
        return (
            f"overfitted: {start}. Use more data (`reann select` chooses structures) or a smaller"
            " model."
        )
    longer = f"`reann resume {folder} training.epochs={2 * config.training.epochs}`"
    if ratio > GAP:
        return (
            f"slightly overfitted: {start}. Train longer ({longer}). If the validation errors no"
            " longer fall, add data; `reann curve` estimates how much they help."
        )
    larger = "" if config.model.preset == LARGEST else f", or use model.preset={LARGEST}"
    return f"not overfitted: {start}. To reduce the errors, train longer ({longer}){larger}."
