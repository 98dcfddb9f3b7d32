"""What a model asks of its recursion, whatever it is made of: features of atoms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from reann.model.neighborhood import Neighborhood


class Features(NamedTuple):
    """What heads see of the atoms."""

    is_embedded: Bool[Tensor, " atoms"]
    """Whether anything acts on the atom; the energy of others is that of a free atom exactly."""
    standardized: Float[Tensor, "atoms features"]
    of_free_atoms: Float[Tensor, "kinds features"]
    """Standardized, of all kinds of free atoms, those of the first element first. A kind is an
    element, or one of several states of it that charge and spin make."""
    kind: Int[Tensor, " atoms"]
    """Row of `of_free_atoms` that each atom would have."""
    states: Sequence[Sequence[Tensor]] = ()
    """Of all layers, by l, (atoms, components, channels); none if no head reads them."""


class Representation(nn.Module):
    """Features of atoms from their neighbors.

    Attributes
    ----------
    width
        Number of features.
    feature_scale
        Size of each feature, (elements, features), in which rounding is measured.
    """

    width: int
    feature_scale: Tensor

    @property
    def dtype(self) -> torch.dtype:
        """Precision of descriptor and networks."""
        raise NotImplementedError

    @property
    def messages(self) -> str:
        """What is passed on from atom to atom: scalar, directional or equivariant messages."""
        raise NotImplementedError

    def forward(self, atoms: Neighborhood) -> Float[Tensor, "atoms features"]:
        """Return the features whose range is recorded, atoms in the order of the elements."""
        raise NotImplementedError

    def features(self, D: Float[Tensor, "atoms features"], atoms: Neighborhood) -> Features:
        """Return what heads see of the features that `forward` returned."""
        raise NotImplementedError
