"""New elements and new heads for a potential that is trained further.

The parameters of a new element start as copies of those of the most similar element that the
potential knows, and a new head as a copy of its first head. Predictions for the old elements and
heads do not change.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from reann.model import Reann, build
from reann.model.heads import EnergyHead
from reann.torch_state import differentiable

NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)
LEARNED = ("recursion.", "heads.", "output_heads.", "long_range.")
"""Beginnings of the names of tensors that a new element copies; other tensors, such as the range of
the features and the distances where repulsion begins, are those of a new potential."""


@differentiable()
def with_elements(model: Reann, elements: Sequence[int]) -> Reann:
    """Return the model with the missing ones of these elements added after its own.

    Reference energies of new elements are zero, and their range of features is unknown.
    """
    new = [z for z in elements if z not in model.elements]
    if not new:
        return model
    known = model.elements
    copied_from = [*range(len(known)), *(known.index(most_similar(z, known)) for z in new)]
    grown = build(model.config, [*known, *new], seed=0, dtype=model.dtype)
    old, state = model.state_dict(), grown.state_dict()
    for name, target in state.items():
        rows = [i for i, n in enumerate(target.shape) if n != old[name].shape[i]]
        if name.startswith(LEARNED):
            state[name] = _selected(old[name], rows, copied_from)
        else:
            block = tuple(slice(n) for n in old[name].shape)
            target[block] = old[name]
    grown.load_state_dict(state)
    with torch.no_grad():
        for head in grown.heads.as_list():
            head.reference_energies[len(known) :] = 0.0
    return grown


def _selected(tensor: Tensor, dimensions: list[int], rows: list[int]) -> Tensor:
    for dimension in dimensions:
        tensor = tensor.index_select(dimension, torch.tensor(rows))
    return tensor


@differentiable()
def with_heads(model: Reann, names: Sequence[str]) -> Reann:
    """Return the model with heads of these names, in this order."""
    if list(model.heads) == list(names):
        return model
    grown = copy.deepcopy(model)
    grown.config = model.config.model_copy(update={"heads": list(names)})
    heads = {name: copy.deepcopy(_head(model, name)) for name in names}
    for name in list(grown.heads):
        del grown.heads[name]
    for name, head in heads.items():
        grown.heads[name] = head
    return grown


def _head(model: Reann, name: str) -> EnergyHead:
    known = dict(zip(model.heads, model.heads.as_list(), strict=True))
    return known.get(name, model.heads.first)


def most_similar(number: int, known: Sequence[int]) -> int:
    """Return the known element that is nearest in the periodic table, columns first."""
    column, period = _place(number)

    def distance(z: int) -> tuple[int, int, int]:
        other_column, other_period = _place(z)
        return abs(other_column - column), abs(other_period - period), abs(z - number)

    return min(known, key=distance)


def _place(number: int) -> tuple[int, int]:
    """Return column, 1 to 18, and period of an element; lanthanides and actinides are in 3."""
    period = next(p for p, last in enumerate(NOBLE_GASES) if number <= last)
    after, before = number - NOBLE_GASES[period - 1], NOBLE_GASES[period] - number
    if after <= 2 and number != 2:
        return after, period
    if before < 6:
        return 18 - before, period
    return max(18 - before, 3), period
