"""The loss, normalized by the counts of the whole batch so that splitting it changes nothing.

With the force scale s (eV/Å) and residuals in its units:

    w_E mean (dE)^2 / N  +  w_F mean dF^2  +  w_S mean (volume dS)^2 / N

Errors of independent atoms add up as sqrt(N), so (dE)^2 / N weighs all sizes alike, and the virial
follows the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from reann.config import LossConfig
from reann.data.dataset import Subset
from reann.graph import LABELS, PER_ATOM_LABELS, Graph

Counts = Mapping[str, float]
"""Number of finite label values: energies, force components, stress components."""


def label_counts(subset: Subset) -> dict[str, np.ndarray]:
    """Return how many finite values of each label every structure of a data set has."""
    dataset = subset.dataset
    first = np.concatenate([[0], np.cumsum(dataset.n_atoms)])
    counts = {}
    for name in LABELS:
        if not dataset.has(name):
            continue
        label = dataset.label(name)
        finite = np.isfinite(label).reshape(len(label), -1).sum(1)
        if name in PER_ATOM_LABELS:
            total = np.concatenate([[0], np.cumsum(finite)])
            finite = total[first[1:]] - total[first[:-1]]
        counts[name] = finite.astype(np.float64)
    return counts


@dataclass(frozen=True)
class Loss:
    """Weighted, dimensionless loss of a part of a batch."""

    config: LossConfig
    scale: float
    """s, eV/Å."""

    def emphasis(self, progress: float) -> float:
        """Return the factor of the energy weight at a progress between 0 and 1.

        It grows geometrically from one to its final value: a sudden change would be a shock to
        the moments of the optimizer, from which the last part of a training does not recover.
        """
        start = self.config.emphasis_start
        grown = (progress - start) / (1.0 - start) if start < 1.0 else 0.0
        return self.config.energy_emphasis ** min(max(grown, 0.0), 1.0)

    def weights(self) -> dict[str, float]:
        """Return the weight of each label."""
        config = self.config
        return {"energy": config.energy, "forces": config.forces, "stress": config.stress}

    def wanted(self, names: Counts) -> list[str]:
        """Return the labels that count: present in the data and with a weight."""
        return [name for name in LABELS if names.get(name) and self.weights()[name] > 0]

    def __call__(
        self, predicted: Mapping[str, Tensor], graph: Graph, counts: Counts, emphasis: float = 1.0
    ) -> Float[Tensor, ""]:
        """Return this part's share of the loss of a batch with `counts` finite labels."""
        n = graph.atoms_per_system.to(torch.float64)
        weight = graph.labels["weight"]
        total = weight.new_zeros(())
        for name in self.wanted(counts):
            label = graph.labels[name]
            # A missing label is NaN; `where` keeps it out of the gradient too. A prediction that
            # is NaN stays one.
            known = torch.isfinite(label)
            residual = torch.where(known, predicted[name] - label, 0.0) / self.scale
            if name == "energy":
                squares = self._square(residual / n.sqrt()) * weight
            elif name == "forces":
                squares = self._square(residual) * weight[graph.system, None]
            else:
                virial = residual * (graph.volume / n.sqrt())[:, None, None]
                squares = self._square(virial) * weight[:, None, None]
            factor = self.weights()[name] * (emphasis if name == "energy" else 1.0)
            total = total + factor * squares.sum() / counts[name]
        return total

    def _square(self, x: Tensor) -> Tensor:
        """Return x^2, or twice the Huber function."""
        delta = self.config.huber
        if delta is None:
            return x.square()
        return torch.where(x.abs() <= delta, x.square(), delta * (2.0 * x.abs() - delta))
