"""An ensemble for every potential: its members, or draws of the last layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from reann.errors import UserError
from reann.graph import Graph
from reann.potential import Ensemble, Potential
from reann.selection.describe import batches
from reann.uncertainty.calibrate import DRAWS, without_factors
from reann.uncertainty.posterior import Rows, draws


def with_spread(potential: Potential | Ensemble, training: Sequence[Graph], seed: int) -> Ensemble:
    """Return an ensemble that gives the spread of forces, calibrated where the potential is.

    Raises
    ------
    UserError
        For a single potential that is not calibrated, without training structures.
    """
    if isinstance(potential, Ensemble) and len(potential.members) > 1:
        return potential
    potential = potential.members[0]
    if potential.calibration is not None:
        return potential.with_uncertainty()
    if not training:
        raise UserError(
            "A single potential that is not calibrated has no spread without its training data.",
            fix="Name them with --data, or give a calibrated potential or an ensemble.",
        )
    rows, generator = Rows(potential.model), torch.Generator().manual_seed(seed)
    for some in batches(training):
        rows.add(Graph.batch(some).to(potential.device), generator)
    changes = draws(rows.precision(), DRAWS, seed).cpu().numpy()
    return without_factors(potential, changes, len(training))
