"""What heads of states start from: the spread of their labels, and constants of the elements."""

from __future__ import annotations

import torch

from reann.data.dataset import Subset
from reann.model import Reann
from reann.model.feature_heads import FeatureHead
from reann.model.state_heads import StateHead
from reann.quantities import named, with_needs
from reann.training.label_scales import element_constants, label_scales


@torch.no_grad()
def set_output_heads(model: Reann, train: Subset) -> None:
    """Set the scales of heads, and the constants of the elements of those that read states."""
    outputs = model.config.outputs
    for name, head in model.output_heads.items():
        if not isinstance(head, StateHead | FeatureHead):
            continue
        is_trained = name in outputs
        # Charges without labels are learned from the dipoles that they are part of.
        source = name if is_trained else next(n for n in outputs if name in with_needs([n]))
        head.scale.fill_(label_scales(train, [source])[source])
        if is_trained and isinstance(head, StateHead) and head.of_elements is not None:
            constants = element_constants(train, named(name))
            head.of_elements.copy_(torch.from_numpy(constants))
