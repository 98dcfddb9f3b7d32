"""Subtracts the average dispersion from reference energies if the labels contain it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from reann.data.dataset import Subset
from reann.data.statistics import ReferenceEnergies
from reann.model import Reann
from reann.model.dispersion import damping

STRUCTURES = 200
"""Number of training structures from which the average is computed."""


@torch.no_grad()
def start_dispersion(
    model: Reann, train: Subset, references: Sequence[ReferenceEnergies], seed: int
) -> None:
    """Subtract the dispersion from fitted reference energies.

    Raises
    ------
    UserError
        If the package of the dispersion is not installed or does not have the functional.
    """
    term = model.dispersion
    if term is None:
        return
    damping(term.config)  # raises before the training if the functional is unknown
    if term.config.labels == "lack":
        return
    drawn = np.random.default_rng(seed).permutation(train.indices)[:STRUCTURES]
    graph = train.dataset.graph(drawn)
    of_atoms = term.slopes(graph, {}).energies
    energies = of_atoms.new_zeros(graph.n_systems).index_add(0, graph.system, of_atoms)
    composition = train.dataset.composition()[drawn].astype(np.float64)
    shifts = np.linalg.lstsq(composition, energies.numpy(), rcond=1e-12)[0]
    for head, reference in zip(model.heads.as_list(), references, strict=True):
        if reference.source == "fit":
            head.reference_energies.sub_(torch.from_numpy(shifts))
