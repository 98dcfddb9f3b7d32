"""The loss, normalized by the counts of the whole batch, so that the batch can be split.

With the force scale s (eV/Å) and residuals in its units:

    w_E mean (dE)^2 / N  +  w_F mean dF^2  +  w_S mean (volume dS)^2 / N

Errors of independent atoms add up as sqrt(N), so (dE)^2 / N gives all sizes the same weight; this
also holds for the virial. Other quantities have their own scales and, if extensive, a factor 1 / N.
The arbitrary sign of a transition dipole is chosen to give the smaller error. Latent charges add
w_q mean (Q - sum q)^2 / N with the sums before they are corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from reann.arbitrary_sign import with_better_sign
from reann.config import LossConfig
from reann.data.dataset import Subset
from reann.graph import Graph
from reann.quantities import CORRECTION, Quantity, is_per_atom, label_names, labels, named

Counts = Mapping[str, float]
"""Number of finite label values: energies, force components, stress components; and `ALL`."""
ALL = "structures"
"""Name of the number of structures among the counts."""
CHARGE_SCALE = 0.3
"""Unit of differences of charges, e."""


def label_counts(subset: Subset) -> dict[str, np.ndarray]:
    """Return the number of finite values of each label in each structure of a data set."""
    dataset = subset.dataset
    first = np.concatenate([[0], np.cumsum(dataset.n_atoms)])
    counts = {}
    for name in label_names():
        if not dataset.has(name):
            continue
        label = dataset.label(name)
        finite = np.isfinite(label).reshape(len(label), -1).sum(1)
        if is_per_atom(name):
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
    scales: Mapping[str, float] = field(default_factory=dict)
    """Scales of quantities not derived from the energy, in their units."""
    has_latent_charges: bool = False

    def emphasis(self, progress: float) -> float:
        """Return the factor of the energy weight at a progress between 0 and 1.

        It grows geometrically from one to its final value; after a sudden change the moments of the
        optimizer would not recover within the last part of a training.
        """
        start = self.config.emphasis_start
        grown = (progress - start) / (1.0 - start) if start < 1.0 else 0.0
        return self.config.energy_emphasis ** min(max(grown, 0.0), 1.0)

    def labels_used(self, names: Counts) -> list[str]:
        """Return the labels in the loss: outputs of the model with labels and a weight."""
        available = [q.name for q in labels() if q.from_energy or q.name in self.scales]
        return [name for name in available if names.get(name) and self.config.weight(name) > 0]

    @property
    def beside_labels(self) -> list[str]:
        """Outputs of the model in the loss that are compared with zero."""
        is_used = self.has_latent_charges and self.config.charge_correction > 0
        return [CORRECTION] if is_used else []

    def __call__(
        self, predicted: Mapping[str, Tensor], graph: Graph, counts: Counts, emphasis: float = 1.0
    ) -> Float[Tensor, ""]:
        """Return the contribution of a part to the loss of a batch with `counts` finite labels."""
        return self.of_structures(predicted, graph, counts, emphasis).sum()

    def of_structures(
        self, predicted: Mapping[str, Tensor], graph: Graph, counts: Counts, emphasis: float = 1.0
    ) -> Float[Tensor, " systems"]:
        """Return the contribution of each structure of a part to the loss of a batch."""
        weight = graph.labels["weight"]
        total = torch.zeros_like(weight)
        for name in self.labels_used(counts):
            label = graph.labels[name]
            # A missing label is NaN; `where` also removes it from the gradient. A prediction that
            # is NaN remains NaN.
            known = torch.isfinite(label)
            value = with_better_sign(named(name), predicted[name], label)
            residual = torch.where(known, value - label, 0.0) / self.scale_of(name)
            squares = self._square(_of_size_one(named(name), residual, graph))
            squares = squares.reshape(len(squares), -1).sum(1)
            if is_per_atom(name):
                squares = squares.new_zeros(graph.n_systems).index_add(0, graph.system, squares)
            total = total + self.factor(name, emphasis) * weight * squares / counts[name]
        for name in self.beside_labels:
            squares = (predicted[name] / CHARGE_SCALE).square() / graph.atoms_per_system
            total = total + self.config.charge_correction * weight * squares / counts[ALL]
        return total

    def factor(self, name: str, emphasis: float) -> float:
        """Return the factor of a label; that of the energy increases at the end, see `emphasis`."""
        return self.config.weight(name) * (emphasis if name == "energy" else 1.0)

    def scale_of(self, name: str) -> float:
        """Return the unit of the residuals of a label."""
        return self.scale if named(name).from_energy else self.scales[name]

    def _square(self, x: Tensor) -> Tensor:
        """Return x^2, or twice the Huber function."""
        delta = self.config.huber
        if delta is None:
            return x.square()
        return torch.where(x.abs() <= delta, x.square(), delta * (2.0 * x.abs() - delta))


def _of_size_one(quantity: Quantity, residual: Tensor, graph: Graph) -> Tensor:
    """Return the residuals scaled so that they do not depend on the size of the system."""
    if quantity.per_atom or not (quantity.extensive or quantity.needs_volume):
        return residual
    root = graph.atoms_per_system.to(torch.float64).sqrt()
    if not quantity.needs_volume:
        return residual / root.view(-1, *(1 for _ in quantity.shape))
    return residual * (graph.volume / root).view(-1, *(1 for _ in quantity.shape))
