"""An ensemble for every potential: its members, or draws of the last layer."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from reann.errors import UserError
from reann.graph import Graph
from reann.model.last_layer import last_layer, set_last_layer
from reann.model.posterior import Rows, draws
from reann.potential import Ensemble, Potential
from reann.selection.describe import batches

DRAWS = 8
PRIOR = 1e-3
ENERGY_PER_FORCE = 1.0
"""Å; ratio of the errors of energies and forces."""


def with_spread(
    potential: Potential | Ensemble, training: Sequence[Graph], seed: int
) -> Potential | Ensemble:
    """Return an ensemble that gives the spread of forces.

    Raises
    ------
    UserError
        For a single potential without training structures.
    """
    if len(potential.members) > 1:
        return potential
    if not training:
        raise UserError(
            "A single potential tells no spread without its training data.",
            fix="Name them with --data, or give an ensemble.",
        )
    rows, generator = Rows(potential.model), torch.Generator().manual_seed(seed)
    for some in batches(training):
        rows.add(Graph.batch(some), generator)
    precision = rows.energies / ENERGY_PER_FORCE**2 + rows.forces
    diagonal = precision.diagonal()
    diagonal.add_(PRIOR * diagonal.mean().clamp(min=1e-300))
    weights = last_layer(potential.model)
    members = []
    for shift in draws(precision, DRAWS, seed):
        model = copy.deepcopy(potential.model)
        set_last_layer(model, weights + shift.view_as(weights))
        members.append(Potential(model, potential.metadata))
    return Ensemble(members)
