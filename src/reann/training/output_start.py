"""Initialization of output heads: scales of their labels, and constants of the elements."""

from __future__ import annotations

import torch

from reann.data.dataset import Subset
from reann.model import Reann
from reann.model.dipoles import ChargesHead
from reann.model.electronegativity import PAULING
from reann.model.feature_heads import FeatureHead
from reann.model.polarizabilities import InteractingPolarizability
from reann.model.state_heads import StateHead
from reann.quantities import ELECTRONEGATIVITIES, named, with_needs
from reann.training.label_scales import element_constants, label_scales

LATENT, LATENT_SPREAD = 0.3, 0.1
"""Charges without labels start from this, in e per unit of Pauling's electronegativity, and their
rows from weights of this size: at zero the energy does not depend on charges."""
ELECTRONEGATIVITY = 3.0
"""The same of electronegativities, V."""


@torch.no_grad()
def set_output_heads(model: Reann, train: Subset, seed: int = 0) -> None:
    """Set the scales of output heads, and the constants of the elements for heads of states."""
    outputs = model.config.outputs
    for name, head in model.output_heads.items():
        if not isinstance(head, StateHead | FeatureHead):
            continue
        is_trained = name in outputs
        # Charges without labels are trained through the dipoles computed from them.
        sources = [name] if is_trained else [n for n in outputs if name in with_needs([n])]
        if sources:
            head.scale.fill_(label_scales(train, sources[:1])[sources[0]])
        if is_trained and isinstance(head, StateHead) and head.of_elements is not None:
            induction = isinstance(head, InteractingPolarizability)
            constants = element_constants(train, named(name), induction=induction)
            head.of_elements.copy_(torch.from_numpy(constants))
        elif isinstance(head, ChargesHead) and model.long_range is not None:
            _start_latent(head, model.elements, seed, -LATENT, has_scale=bool(sources))
        elif isinstance(head, StateHead) and name == ELECTRONEGATIVITIES:
            _start_latent(head, model.elements, seed, ELECTRONEGATIVITY, has_scale=False)


def _start_latent(
    head: StateHead, elements: list[int], seed: int, unit: float, *, has_scale: bool
) -> None:
    """Let electropositive elements be positive, and charges depend on the surroundings."""
    assert head.of_elements is not None
    pauling = torch.tensor([PAULING.get(z, 2.0) for z in elements], dtype=torch.float64)
    head.of_elements.copy_(unit * (pauling - pauling.mean()))
    generator = torch.Generator().manual_seed(seed)
    for name in head.rows:
        rows = head.get_parameter(name)
        rows.copy_(LATENT_SPREAD * torch.randn(rows.shape, generator=generator))
    if not has_scale:
        head.scale.fill_(abs(unit))
