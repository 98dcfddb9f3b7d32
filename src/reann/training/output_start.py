"""What heads beside the energy start from: the spread of their labels, a fit for the elements."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from reann.data.dataset import Subset
from reann.model import Reann
from reann.model.state_heads import PolarizabilityHead, StateHead
from reann.training.loss import label_scales


@torch.no_grad()
def set_output_heads(model: Reann, train: Subset) -> None:
    """Set the scales of heads that read states, and the isotropic polarizabilities of elements."""
    for name, head in model.output_heads.items():
        if isinstance(head, StateHead):
            head.scale.fill_(label_scales(train, [name])[name])
        if isinstance(head, PolarizabilityHead):
            fitted = isotropic_fit(train, name)
            head.of_elements.copy_(torch.from_numpy(fitted))


def isotropic_fit(train: Subset, name: str) -> NDArray[np.float64]:
    """Return numbers of the elements whose sums fit a third of the traces best, the smallest."""
    dataset, indices = train.dataset, train.indices
    labels = dataset.rows(name, indices)
    third = np.trace(cast("NDArray[np.float64]", labels), axis1=1, axis2=2) / 3.0
    counts = dataset.composition()[indices]
    known = np.isfinite(third)
    return np.linalg.lstsq(counts[known], third[known], rcond=None)[0]
