"""Whether the learning rate is too high for a training to be stable."""

from __future__ import annotations

import math

from reann.training.state import Progress

HIGH = 5.0
"""A validation loss is high if it is larger than this many times the lowest one.

InP with defects at a rate that is too high reaches 5.5 times in all of three epochs. Of 35 other
trainings, two with dipoles reach 3.6 and 4.0 for 300 steps, the rest at most 1.3.
"""
FEWEST_EPOCHS, FEWEST_STEPS = 3, 300
"""Duration of a high validation loss that counts: single epochs are often worse than others."""
MOST = 3
"""Maximum number of times that the learning rate is halved."""


def is_unstable(progress: Progress, valid_loss: float, steps_per_epoch: int) -> bool:
    """Count an epoch with a high validation loss; return whether there were too many in a row.

    The loss of all structures is compared with the lowest one of the current schedule. The initial
    potential of a fine-tuning or an extended training has already been trained with small learning
    rates: with a high one, its loss is exceeded in every stable training.
    """
    is_high = valid_loss > HIGH * progress.lowest_loss and progress.best_epoch > progress.start
    progress.high = progress.high + 1 if is_high else 0
    needed = max(FEWEST_EPOCHS, math.ceil(FEWEST_STEPS / steps_per_epoch))
    return progress.high >= needed and progress.rollbacks < MOST
