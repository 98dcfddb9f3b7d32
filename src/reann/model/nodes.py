"""States of atoms in the recursion, and their update.

The state of an atom has scalars, such as the orbital coefficients, and may have tensors, which
rotate with the structure. An update defines the initial states, what atoms read from the states of
their neighbors, and the new states.
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
    """State of all atoms, which their neighbors read."""

    scalars: Float[Tensor, "atoms channels"]
    tensors: tuple[Tensor, ...] = ()
    """Tensors of l >= 1 in the order of the layout, each (atoms, components, channels); empty
    while all are zero."""


class Description(NamedTuple):
    """Output of a host for all atoms."""

    features: Float[Tensor, "atoms features"]
    moments: Float[Tensor, "atoms components weights"] | None = None
    """Moments of the host; None for hosts without moments."""


class Update(nn.Module):
    """Initial states of atoms and their changes in the recursion.

    Override `start` and `step`; for messages other than scalars, which need a host with moments,
    also `read_weights` and `read_moments`.

    Attributes
    ----------
    layout
        Layout of the states: scalars, then tensors.
    n_recursions
        T, the number of steps.
    NEEDS_MOMENTS
        Whether the host must have moments.
    """

    layout: tuple[Channels, ...]
    n_recursions: int
    NEEDS_MOMENTS: ClassVar[bool] = False

    def start(self, atoms: Neighborhood) -> NodeState:
        """Return the initial states; the scalars are the weights of the host."""
        raise NotImplementedError

    def read_weights(
        self,
        functions: Any,
        state: NodeState,
        t: int,  # noqa: ARG002 - the same in every step, unlike in other updates
    ) -> Float[Tensor, "atoms slots weights"]:
        """Return the weight of each neighbor before step `t`.

        Parameters
        ----------
        seen
            Result of `prepare` of the host: neighbors, radial and angular functions.
        """
        return functions.atoms.of_neighbors(state.scalars)

    def read_moments(
        self,
        functions: Any,  # noqa: ARG002
        state: NodeState,  # noqa: ARG002
        t: int,  # noqa: ARG002
    ) -> Float[Tensor, "atoms components weights"] | None:
        """Return sums over neighbors to add to the moments of l >= 1, None if there are none."""
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
            Moments of the host, if it has them.
        """
        raise NotImplementedError
