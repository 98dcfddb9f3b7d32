"""Choice of the backend: by name, an object, or the fastest that supports a request.

An installed package adds a backend through an entry point of the group `reann.backends`, such as
`fast = "my_package:FAST"`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import cast

from torch import Tensor

from reann.backends.native.backend import Native
from reann.backends.protocol import ENERGIES, Backend, Request, UnsupportedError
from reann.backends.reference import Reference
from reann.backends.triton.backend import Triton
from reann.config.engines import AUTO, BUILT_IN, added
from reann.errors import UserError, did_you_mean
from reann.graph import Graph
from reann.model import Reann
from reann.model.reann import without_inference
from reann.properties import AtomicEnergies
from reann.torch_state import differentiable, ordinary

Engine = str | Backend
"""`auto`, the name of a backend, or a backend."""
REFERENCE, NATIVE, TRITON = Reference(), Native(), Triton()
BACKENDS: dict[str, Backend] = {b.name: b for b in (REFERENCE, NATIVE, TRITON)}
INSTALL = (
    "Use the engine torch; or install a C++ compiler, then"
    " `pip install --force-reinstall --no-cache-dir reann`."
)


class ReferenceWarning(UserWarning):
    """The reference is used in place of a faster engine; results are the same."""


def named(name: str, where: str = "engine") -> Backend:
    """Return the backend with a name; `UserError` if there is none."""
    if name in BACKENDS:
        return BACKENDS[name]
    of_packages = added()
    if name in of_packages:
        return of_packages[name].load()
    known = [*BUILT_IN, *of_packages]
    raise UserError(
        f"'{name}' is not an engine.{did_you_mean(name, known)}",
        where,
        f"Use one of {', '.join(known)}.",
    )


def check(engine: Engine, where: str = "engine") -> Backend | None:
    """Return the requested backend, None for `auto`.

    Raises
    ------
    UserError
        For an unknown engine, and for one that is not available.
    """
    backend = _requested(engine, where)
    if backend is None:
        return None
    if (why := backend.unavailable()) is not None:
        fix = INSTALL if backend is NATIVE else "Use the engine torch or auto."
        raise UserError(f"The engine {backend.name} is not available: {why}.", where, fix)
    return backend


def _requested(engine: Engine, where: str = "engine") -> Backend | None:
    if isinstance(engine, str):
        return None if engine == AUTO else named(engine, where)
    return engine


def device_for(engine: Engine, device: str) -> str:
    """Return the name of a device; `auto` is the preferred device of the engine."""
    backend = _requested(engine)
    return device if backend is None else backend.device(device)


def _preferred(tensor: Tensor) -> Backend:
    """Return the first choice of `auto` for the device of a tensor."""
    return NATIVE if tensor.device.type == "cpu" else TRITON


def chosen(
    engine: Engine,
    models: Iterable[Reann],
    where: str = "engine",
    request: Request = ENERGIES,
) -> Backend:
    """Return the backend for loaded models and a kind of request.

    Raises
    ------
    UserError
        For an unknown engine, one that is not available, and one that does not support the request.
    """
    backend, preferred = check(engine, where), NATIVE
    for model in models:
        preferred = _preferred(model.element_index)
        if (why := (backend or preferred).supports(model, request)) is None:
            continue
        if backend is not None:
            raise UnsupportedError(backend.name, why, where)
        _warn(preferred, why)
        return REFERENCE
    return backend or preferred


def evaluate(
    model: AtomicEnergies,
    graph: Graph,
    names: Iterable[str],
    *,
    create_graph: bool = False,
    engine: Engine = AUTO,
) -> dict[str, Tensor]:
    """Return properties by an engine; see `reann.properties.evaluate`.

    If `auto` has to use the reference although a faster engine is available, it warns once. The
    results are ordinary tensors, even inside `torch.inference_mode`.

    Raises
    ------
    UserError
        For an unknown engine, one that is not available, and one that does not support the request.
    """
    backend = check(engine)
    request = Request.of(names, create_graph=create_graph)
    with differentiable():
        if isinstance(model, Reann):
            model = without_inference(model)
        graph = graph.each(ordinary)
        preferred = _preferred(graph.positions)
        why = (backend or preferred).supports(model, request, graph)
        if why is None:
            return (backend or preferred).current(cast("Reann", model)).evaluate(graph, request)
        if backend is not None:
            raise UnsupportedError(backend.name, why)
        if (impossible := REFERENCE.supports(model, request, graph)) is not None:
            raise UnsupportedError("torch", impossible)
        _warn(preferred, why)
        return REFERENCE.current(model).evaluate(graph, request)


def _warn(preferred: Backend, why: str) -> None:
    """Warn if `auto` cannot use a faster engine that is available."""
    if preferred.unavailable() is None:
        # Python shows a warning once per place and text.
        warnings.warn(
            f"The PyTorch engine is used instead of the faster engine {preferred.name}: {why}.",
            ReferenceWarning,
            stacklevel=3,
        )
