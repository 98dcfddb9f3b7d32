"""Interface of recursions: features of atoms from their neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from reann.model.neighborhood import Neighborhood


class Features(NamedTuple):
    """Input of heads."""

    is_embedded: Bool[Tensor, " atoms"]
    """Whether the atom has neighbors or a field; otherwise its energy is exactly that of a free
    atom."""
    standardized: Float[Tensor, "atoms features"]
    of_free_atoms: Float[Tensor, "kinds features"]
    """Standardized features of free atoms, ordered by element. Charge and spin may give several
    states of an element."""
    kind: Int[Tensor, " atoms"]
    """Row of `of_free_atoms` for each atom."""
    states: Sequence[Sequence[Tensor]] = ()
    """States of all layers, by l, (atoms, components, channels); empty if no head reads them."""


class Representation(nn.Module):
    """Features of atoms from their neighbors.

    Attributes
    ----------
    width
        Number of features.
    feature_scale
        Size of each feature, (elements, features), the unit of rounding errors.
    """

    width: int
    feature_scale: Tensor

    @property
    def dtype(self) -> torch.dtype:
        """Precision of descriptor and networks."""
        raise NotImplementedError

    @property
    def messages(self) -> str:
        """Kind of messages: scalar, directional or equivariant."""
        raise NotImplementedError

    def forward(self, atoms: Neighborhood) -> Float[Tensor, "atoms features"]:
        """Return the features whose range is recorded, atoms in the order of the elements."""
        raise NotImplementedError

    def features(self, D: Float[Tensor, "atoms features"], atoms: Neighborhood) -> Features:
        """Return the input of heads from the result of `forward`."""
        raise NotImplementedError
