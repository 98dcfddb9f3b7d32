"""The states of atoms in the recursion, and what updates them.

An atom has scalars, such as the orbital coefficients, and it may have tensors, which turn with the
structure. Its neighbors read both. An update says with what states the recursion starts, what
atoms read of their neighbors, and what the states become.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from reann.model.neighborhood import Neighborhood


class Channels(NamedTuple):
    """Part of the layout of a node state: `n` tensors of rank `l` for each atom."""

    l: int
    n: int


class NodeState(NamedTuple):
    """What atoms let their neighbors know."""

    scalars: Float[Tensor, "atoms channels"]
    tensors: tuple[Tensor, ...] = ()
    """Those of l >= 1 in the order of the layout, each (atoms, components, channels); empty as long
    as all are zero."""


class Description(NamedTuple):
    """What a host makes of the neighbors of all atoms."""

    features: Float[Tensor, "atoms features"]
    moments: Float[Tensor, "atoms components weights"] | None = None
    """Of the hosts that have moments."""


class Update(nn.Module):
    """The states of atoms, from the start of the recursion to its end.

    Override `start` and `step`; `read_weights` and `read_moments` where atoms read more of their
    neighbors than scalars, which only hosts with moments let them.

    Attributes
    ----------
    layout
        The parts of a node state: the scalars, then the tensors.
    n_recursions
        T, the number of steps.
    NEEDS_MOMENTS
        Whether the host must have moments.
    """

    layout: tuple[Channels, ...]
    n_recursions: int
    NEEDS_MOMENTS: ClassVar[bool] = False

    def start(self, atoms: Neighborhood) -> NodeState:
        """Return the states before the first step; the scalars are the weights of a host."""
        raise NotImplementedError

    def read_weights(
        self,
        seen: Any,
        state: NodeState,
        t: int,  # noqa: ARG002 - the same in every step, unlike in other updates
    ) -> Float[Tensor, "atoms slots weights"]:
        """Return the weight of each neighbor as its center reads it before step `t`.

        Parameters
        ----------
        seen
            What `prepare` of the host returned: neighbors, radial and angular functions.
        """
        return seen.atoms.of_neighbors(state.scalars)

    def read_moments(
        self,
        seen: Any,  # noqa: ARG002
        state: NodeState,  # noqa: ARG002
        t: int,  # noqa: ARG002
    ) -> Float[Tensor, "atoms components weights"] | None:
        """Return sums over neighbors that are added to the moments of l >= 1, None without any."""
        return None

    def step(
        self,
        t: int,
        state: NodeState,
        x: Float[Tensor, "atoms features"],
        moments: Float[Tensor, "atoms components weights"] | None,
        atoms: Neighborhood,
    ) -> NodeState:
        """Return the states after step `t`.

        Parameters
        ----------
        x
            Standardized features.
        moments
            Of the hosts that have them.
        """
        raise NotImplementedError
