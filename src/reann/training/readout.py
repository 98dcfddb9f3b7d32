"""Initialization of the last layer of the readout if the reference energies are fixed.

The energies of free atoms are several eV per atom above those of molecules and solids. A readout
that starts at zero would first have to learn this difference with small steps. Therefore the last
layer, in which the energy is linear, is fitted to the total energies: with the density of every
atom fixed, E - sum e_Z = s sum_i [h(rho_i) - h(0)] . w_Z, solved for w by ridge regression. With
equivariant messages w are the linear readouts and last layers of all layers of the recursion.
"""

from __future__ import annotations

import torch

from reann import properties
from reann.data.dataset import Subset
from reann.model import Reann
from reann.model.last_layer import hidden_features, set_last_layer
from reann.training.standardize import densities

STRUCTURES = 200
"""Number of training structures for the fit."""
RIDGE = 1e-3
"""Penalty of the weights, relative to the mean square of the hidden features."""


@torch.no_grad()
def fit_last_layer(model: Reann, train: Subset, seed: int, head: int = 0) -> None:
    """Set the last layer of a head's readout by ridge regression on its total energies."""
    dataset = train.dataset
    if not dataset.has("energy"):
        return
    own_head, hidden, energies = model.heads.as_list()[head], [], []
    for graph, embedding in densities(model, train.of_head(head), STRUCTURES, seed):
        hidden.append(hidden_features(model, graph, embedding, head).flatten(1))
        # With its last layer at zero, the model returns sum e_Z and the repulsion.
        baseline = properties.evaluate(model, graph, ["energy"])["energy"]
        energies.append((graph.labels["energy"] - baseline) / own_head.energy_scale)
    if not hidden:
        return
    a, b = torch.cat(hidden), torch.cat(energies)
    labeled = torch.isfinite(b)
    a, b = a[labeled], b[labeled]
    if not len(b):
        return
    # Solved in the space of the structures, of which there are fewer than weights.
    kernel = a @ a.T
    # If all structures are free atoms, there are no features and nothing is fitted.
    kernel.diagonal().add_(RIDGE * kernel.diagonal().mean().clamp(min=1e-9))
    weights = a.T @ torch.linalg.solve(kernel, b)
    set_last_layer(model, weights.view(len(model.elements), -1), head)
