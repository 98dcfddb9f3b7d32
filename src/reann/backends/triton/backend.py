"""Triton as a backend: kernels for GPUs from NVIDIA and AMD, generated from formulas."""

from __future__ import annotations

import importlib.util
import os
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from reann.backends.native.backend import is_changed, modules_of
from reann.backends.protocol import Backend, Request
from reann.backends.triton import toolchain
from reann.backends.triton.compiled import Compiled
from reann.backends.triton.memory import free_bytes
from reann.backends.triton.recursions import unsupported
from reann.graph import Graph
from reann.model import Reann
from reann.model.dipoles import ChargesHead, DipoleHead, TransitionDipoleHead
from reann.model.feature_heads import (
    ChargeDipole,
    NeighborDipole,
    Polarizability,
    TransitionDipole,
)
from reann.model.state_heads import TensorHead
from reann.properties import NAMES, PROPERTIES, AtomicEnergies

OF_STATES = (ChargesHead, DipoleHead, TransitionDipoleHead, TensorHead)
OF_FEATURES = (ChargeDipole, NeighborDipole, TransitionDipole, Polarizability)
HEADS = frozenset(OF_STATES + OF_FEATURES)
"""Supported heads: those of this package."""


class Triton(Backend):
    """Kernels on GPUs, for the models of this package."""

    name = "triton"

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Reann, Compiled] = WeakKeyDictionary()

    def unavailable(self) -> str | None:
        """Return why the engine is not available on this machine, None if it is."""
        if importlib.util.find_spec("triton") is None:
            return "the package triton is not installed, which comes with PyTorch for GPUs"
        return None if interpreted() else toolchain.missing()

    def supports(
        self, model: AtomicEnergies, request: Request, graph: Graph | None = None
    ) -> str | None:
        """Return why the backend does not support a request, None if it does."""
        if (why := self.unavailable()) is not None:
            return why
        if type(model) is not Reann:
            return f"it supports Reann, not {type(model).__name__}"
        assert isinstance(model, Reann)
        moved = graph is not None and (graph.positions.requires_grad or graph.cell.requires_grad)
        forward = forward_ad._current_level >= 0  # noqa: SLF001 - private, and the only way to ask
        transformed = torch._C._are_functorch_transforms_active()  # noqa: SLF001
        on_gpu = model.element_index.device.type == "cuda"
        obstacles = {
            "it runs on GPUs only": not (on_gpu or interpreted()),
            "it computes energies, and the model has none": not len(model.heads)
            and bool(request.names.intersection(PROPERTIES)),
            "single atoms have no virials where energies depend on whole structures": "virials"
            in request.names
            and bool(model.structure_terms),
            "it computes no hooks and no parametrizations of modules": any(
                map(is_changed, modules_of(model))
            ),
            "it has no gradients of positions and cells": moved,
            "it has no forward mode and no function transforms": forward or transformed,
        }
        others = (why for why, applies in obstacles.items() if applies)
        return unsupported(model) or _missing_outputs(model, request) or next(others, None)

    def compile(self, model: Reann) -> Compiled:
        """Return a compiled model for exclusive use by the caller."""
        return Compiled(model)

    def current(self, model: Reann) -> Compiled:
        """Return a shared compiled model, which always uses the current weights of the model."""
        if model not in self._known:
            self._known[model] = Compiled(model)
        return self._known[model]

    def heat_flux(
        self, model: Reann, graph: Graph, velocities: Float[Tensor, "atoms 3"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
        """Return energies relative to free atoms, eV, and the heat flux, eV Å per time."""
        return self.current(model).without_gradients().heat_flux(graph, velocities)

    def most_edges(self, model: Reann, request: Request, edges_per_atom: float) -> int | None:
        """Return the number of neighbor pairs that fit into the memory of the GPU of a model."""
        device, compiled = model.element_index.device, Compiled(model)
        if device.type != "cuda" or not compiled.has_known_needs:
            return None
        needed = compiled.needs(request)
        return int(edges_per_atom * needed.most_atoms(free_bytes(device), edges_per_atom))

    def device(self, name: str) -> str:
        """Return the name of a device; `auto` is the GPU."""
        return "cuda" if name == "auto" and not interpreted() else name


def _missing_outputs(model: Reann, request: Request) -> str | None:
    """Return the reason if an output is not available, None if all are."""
    if missing := sorted(request.names.difference(NAMES, model.output_names)):
        return f"the model has no output {', '.join(missing)}"
    if unknown := [n for n, head in model.output_heads.items() if type(head) not in HEADS]:
        return f"it supports the heads of this package, not those of {', '.join(unknown)}"
    return None


def interpreted() -> bool:
    """Return whether kernels run in Triton's interpreter, on the CPU and slowly, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"
