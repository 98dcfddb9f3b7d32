"""Which engine computes: the native one, or the PyTorch reference."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from torch import Tensor

from reann import native, properties
from reann.errors import UserError, did_you_mean
from reann.graph import Graph
from reann.model import Reann
from reann.model.reann import without_inference
from reann.native import engine as native_engine
from reann.properties import AtomicEnergies
from reann.torch_state import differentiable, ordinary

ENGINES = ("auto", "torch", "native")
"""`auto`: the native engine where it can, else the reference."""


class ReferenceWarning(UserWarning):
    """The reference computes what was expected of the native engine; results are the same."""


def check(name: str, where: str = "engine") -> None:
    """Raise `UserError` for an unknown engine, and for `native` where it is not installed."""
    if name not in ENGINES:
        raise UserError(
            f"'{name}' is not an engine.{did_you_mean(name, ENGINES)}",
            where,
            f"Use one of {', '.join(ENGINES)}.",
        )
    if name == "native" and (why := native.missing()) is not None:
        raise UserError(f"There is no native engine: {why}.", where, native_engine.INSTALL)


def device_for(engine: str, device: str) -> str:
    """Return the name of a device; `auto` is the CPU when the native engine is asked for."""
    return "cpu" if (engine, device) == ("native", "auto") else device


def chosen(engine: str, models: Iterable[Reann], where: str = "engine") -> str:
    """Return `native` or `torch` for models that are there.

    Raises
    ------
    UserError
        For an unknown engine, and where `native` is impossible.
    """
    check(engine, where)
    if engine == "torch":
        return "torch"
    for model in models:
        if (why := native_engine.unsupported(model)) is not None:
            if engine == "native":
                raise native_engine.UnsupportedError(why, where)
            _tell(why, model.reference_energies)
            return "torch"
    return "native"


def evaluate(
    model: AtomicEnergies,
    graph: Graph,
    names: Iterable[str],
    *,
    create_graph: bool = False,
    engine: str = "auto",
) -> dict[str, Tensor]:
    """Return properties by an engine; see `reann.properties.evaluate`.

    Where `auto` has to take the reference on a CPU that has the native engine, it warns once.
    Inside `torch.inference_mode`, too, the results are ordinary tensors.

    Raises
    ------
    UserError
        For an unknown engine, and where `native` is impossible.
    """
    check(engine)
    with differentiable():
        if isinstance(model, Reann):
            model = without_inference(model)
        graph = graph.each(ordinary)
        if engine != "torch":
            names = list(names)
            try:
                return native_engine.evaluate(model, graph, names, create_graph=create_graph)
            except native_engine.UnsupportedError as error:
                if engine == "native":
                    raise
                _tell(error.why, graph.positions)
        return properties.evaluate(model, graph, names, create_graph=create_graph)


def identity(engine: str) -> str:
    """Return an engine and its instruction set: what bitwise equal results need."""
    return f"native {native.core().isa()}" if engine == "native" else engine


def _tell(why: str, where_it_is: Tensor) -> None:
    """Warn when `auto` finds a native engine on a CPU that cannot do it."""
    if native.available() and where_it_is.device.type == "cpu":
        # Python shows a warning once for each place and text.
        warnings.warn(
            f"The PyTorch engine computes, not the faster native one: {why}.",
            ReferenceWarning,
            stacklevel=3,
        )
