"""The protocol of backends, which compute potentials.

    request = Request.of(["energy", "forces"])
    backend.supports(model, request, graph)     None, or why not
    backend.compile(model)                      for an owner, who updates it: training
    backend.current(model)                      for everybody else
       .evaluate(graph, request)                properties as tensors

Training, the calculator of ASE, `reann evaluate` and the heat flux ask no more of a backend. A
class that derives from `Backend` has to say its name, what it supports, and how it compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.properties import AtomicEnergies, requested_names
from reann.quantities import outputs

if TYPE_CHECKING:
    import ase

    from reann.interfaces.skin import SkinList
    from reann.potential import Ensemble, Potential


class UnsupportedError(UserError):
    """Another backend has to do this."""

    def __init__(self, name: str, why: str, where: str = "engine") -> None:
        super().__init__(
            f"The {name} engine cannot do this: {why}.", where, "Use the engine torch or auto."
        )
        self.why = why

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str]]:
        """Cross a process boundary as what every error of a user is."""
        return UserError, (self.what, self.where, self.fix)


@dataclass(frozen=True)
class Request:
    """What is asked of a backend."""

    names: frozenset[str]
    """Out of `reann.quantities.outputs()`."""
    create_graph: bool = False
    """Whether the results carry their gradients with respect to the parameters."""

    @classmethod
    def of(cls, names: Iterable[str], *, create_graph: bool = False) -> Request:
        """Return a request; `UserError` for a name that is not a property."""
        return cls(frozenset(requested_names(names, outputs())), create_graph)


ENERGIES = Request(frozenset({"energies"}))
"""The least that a backend computes."""


@runtime_checkable
class Compiled(Protocol):
    """A model in the form that a backend computes with."""

    def update(self, model: Reann) -> None:
        """Take over the weights of the model that it was compiled from, or of one of its form.

        Gradients of what was evaluated before must not be asked for any more.
        """
        ...

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return the properties; shapes and units are those of `reann.quantities`.

        Raises
        ------
        UserError
            For coincident atoms, and positions that are not finite.
        """
        ...


Results = dict[str, Any]
"""What ASE calls results: numbers and arrays by name."""
Step = Callable[["ase.Atoms", "SkinList", frozenset[str]], Results]
"""Computes named results of a structure, stress only where it is periodic in three dimensions, from
a neighbor list that holds for it."""


@runtime_checkable
class Backend(Protocol):
    """What computes potentials.

    Attributes
    ----------
    name
        As users write it: `--engine NAME`.
    """

    name: str

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        """Return the backend itself: a copied calculator computes with the same one."""
        del memo
        return self

    def unavailable(self) -> str | None:
        """Return why nothing can be computed on this machine, None if it can."""
        return None

    def supports(
        self, model: AtomicEnergies, request: Request, graph: Graph | None = None
    ) -> str | None:
        """Return why this request, for any graph or for this one, is impossible; None if it is not.

        The answer is the end of the sentence: The engine cannot do this: it ...
        """
        ...

    def compile(self, model: Reann) -> Compiled:
        """Return a compiled model of the caller's own."""
        ...

    def current(self, model: Reann) -> Compiled:
        """Return a compiled model with the present weights, which others may use, too."""
        return self.compile(model)

    def heat_flux(
        self, model: Reann, graph: Graph, velocities: Float[Tensor, "atoms 3"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
        """Return energies above free atoms of one structure, eV, and their flow, eV Å per time.

        Raises
        ------
        UnsupportedError
            If the backend has no heat flux.
        """
        del model, graph, velocities
        raise UnsupportedError(self.name, "it has no heat flux")

    def step(self, potential: Potential | Ensemble) -> Step | None:
        """Return a faster way to compute steps of a calculator; None: there is none."""
        del potential

    def device(self, name: str) -> str:
        """Return the name of the device where to compute, if this one was asked for."""
        return name

    def most_edges(self, model: Reann, request: Request, edges_per_atom: float) -> int | None:
        """Return for how many neighbor pairs at once there is memory; None: no limit is known."""
        del model, request, edges_per_atom

    def identity(self) -> str:
        """Return what has to be the same for bitwise equal results."""
        return self.name
