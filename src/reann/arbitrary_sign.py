"""Quantities whose sign is arbitrary, such as transition dipoles: signs that can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reann.quantities import Quantity, named


def with_better_sign(quantity: Quantity, predicted: Tensor, label: Tensor) -> Tensor:
    """Return predictions with the sign closer to the label if the sign is arbitrary.

    The first axis is atoms or systems.
    """
    if not quantity.sign_is_arbitrary:
        return predicted
    alike = (predicted.detach() * label).reshape(len(label), -1).sum(1)
    sign = torch.where(alike < 0.0, -1.0, 1.0).to(predicted.dtype)
    return predicted * sign.view(-1, *(1 for _ in quantity.shape))


def stacked_members(name: str, values: Sequence[Tensor]) -> Tensor:
    """Return the values of a quantity by the members of an ensemble, (members, ...).

    Members learn an arbitrary sign independently, so that their mean would be too small: here the
    signs are those closer to the first member. The first axis of the values is atoms or systems.
    """
    quantity = named(name)
    return torch.stack([with_better_sign(quantity, value, values[0]) for value in values])
