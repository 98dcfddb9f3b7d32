"""The protocol of backends, which compute potentials.

    request = Request.of(["energy", "forces"])
    backend.supports(model, request, graph)     None, or the reason why not
    backend.compile(model)                      for exclusive use with updates: training
    backend.current(model)                      for all other uses
       .evaluate(graph, request)                properties as tensors

Training, the ASE calculator, `reann evaluate` and the heat flux use only this interface. A subclass
of `Backend` defines a name, `supports` and `compile`.
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
    """The backend does not support the request."""

    def __init__(self, name: str, why: str, where: str = "engine") -> None:
        super().__init__(
            f"The engine {name} does not support this: {why}.",
            where,
            "Use the engine torch or auto.",
        )
        self.why = why

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str]]:
        """Pickle as a `UserError`."""
        return UserError, (self.what, self.where, self.fix)


@dataclass(frozen=True)
class Request:
    """Properties requested from a backend."""

    names: frozenset[str]
    """Names from `reann.quantities.outputs()`."""
    create_graph: bool = False
    """Whether results are differentiable with respect to parameters."""

    @classmethod
    def of(cls, names: Iterable[str], *, create_graph: bool = False) -> Request:
        """Return a request; `UserError` for unknown properties."""
        return cls(frozenset(requested_names(names, outputs())), create_graph)


ENERGIES = Request(frozenset({"energies"}))
"""The minimal request."""


@runtime_checkable
class Compiled(Protocol):
    """A model in the form of a backend."""

    def update(self, model: Reann) -> None:
        """Copy the weights of the compiled model, or of another with the same architecture.

        Earlier results must not be differentiated afterwards.
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
"""Results as in ASE: numbers and arrays by name."""
Step = Callable[["ase.Atoms", "SkinList", frozenset[str]], Results]
"""Computes named results of a structure, stress only where it is periodic in three dimensions, from
a neighbor list that holds for it."""


@runtime_checkable
class Backend(Protocol):
    """A backend, which computes potentials.

    Attributes
    ----------
    name
        Name in `--engine NAME`.
    """

    name: str

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        """Return the backend itself: copies of a calculator share it."""
        del memo
        return self

    def unavailable(self) -> str | None:
        """Return why the backend is not available on this machine, None if it is."""
        return None

    def supports(
        self, model: AtomicEnergies, request: Request, graph: Graph | None = None
    ) -> str | None:
        """Return why a request (for a graph, if given) is not supported; None if it is.

        The answer completes the sentence: The engine NAME does not support this: it ...
        """
        ...

    def compile(self, model: Reann) -> Compiled:
        """Return a compiled model for exclusive use by the caller."""
        ...

    def current(self, model: Reann) -> Compiled:
        """Return a compiled model with the current weights, which may be shared."""
        return self.compile(model)

    def heat_flux(
        self, model: Reann, graph: Graph, velocities: Float[Tensor, "atoms 3"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
        """Return energies relative to free atoms, eV, and the heat flux, eV Å per time.

        Raises
        ------
        UnsupportedError
            If the backend has no heat flux.
        """
        del model, graph, velocities
        raise UnsupportedError(self.name, "it has no heat flux")

    def step(self, potential: Potential | Ensemble) -> Step | None:
        """Return a faster implementation of calculator steps, None if there is none."""
        del potential

    def device(self, name: str) -> str:
        """Return the device to use if this one is requested."""
        return name

    def most_edges(self, model: Reann, request: Request, edges_per_atom: float) -> int | None:
        """Return for how many neighbor pairs at once there is memory; None: no limit is known."""
        del model, request, edges_per_atom

    def identity(self) -> str:
        """Return a description; results are bitwise reproducible if it is the same."""
        return self.name
