"""The native engine as a backend, and the requests that it supports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad

from reann import native
from reann.backends.native.compiled import Compiled, refused
from reann.backends.native.inputs import CompiledWithInputs, at_numbers
from reann.backends.native.outputs import unknown_heads
from reann.backends.native.step import NativeStep
from reann.backends.native.weights import snapshot, workspace
from reann.backends.protocol import Backend, Request
from reann.graph import Graph
from reann.model import Reann
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.hosts.embedded_density import EmbeddedDensity
from reann.model.inputs import numbers_of
from reann.model.messages import Directional, ScalarMessages
from reann.model.recursion import Recursion
from reann.model.representation import Representation
from reann.native.system import arguments
from reann.properties import NAMES, PROPERTIES, AtomicEnergies

if TYPE_CHECKING:
    from reann.potential import Ensemble, Potential


OF_ENERGY = frozenset(PROPERTIES)
NO_ENERGY = "it computes energies, and the model has none"


class Native(Backend):
    """C++ on CPUs, for the embedded density and equivariant messages."""

    name = "native"

    def unavailable(self) -> str | None:
        """Return why this installation has no native engine, None if it has one."""
        return native.missing()

    def supports(
        self, model: AtomicEnergies, request: Request, graph: Graph | None = None
    ) -> str | None:
        """Return why the native engine does not support a request, None if it does.

        Second derivatives with respect to parameters raise an error in the backward pass.
        """
        if (why := native.missing()) is not None:
            return why
        if type(model) is not Reann:
            return f"it supports the class Reann, not {type(model).__name__}"
        assert isinstance(model, Reann)
        why = _unknown_recursion(model.recursion) or _several_heads(model)
        if (why := why or _unknown_outputs(model, request)) is not None:
            return why
        moved = graph is not None and (graph.positions.requires_grad or graph.cell.requires_grad)
        # Private, but there is no public function.
        forward = forward_ad._current_level >= 0  # noqa: SLF001
        transformed = torch._C._are_functorch_transforms_active()  # noqa: SLF001
        kept, modules = request.create_graph, list(modules_of(model))
        obstacles = {
            "it does not run hooks and parametrizations of modules": any(map(is_changed, modules)),
            "it runs on CPUs only": model.element_index.device.type != "cpu",
            "it has no gradients of positions and cells": moved,
            "it has no gradients of buffers": kept and any(map(_has_trained_buffer, modules)),
            "virials of atoms are not defined for energies of whole structures": "virials"
            in request.names
            and bool(model.structure_terms),
            "it has no gradients of per-atom virials": kept and "virials" in request.names,
            "it has no forward mode and no function transforms": forward or transformed,
        }
        return next((why for why, applies in obstacles.items() if applies), None)

    def compile(self, model: Reann) -> Compiled | CompiledWithInputs:
        """Return a model for exclusive use by the caller."""
        return CompiledWithInputs(model) if model.config.inputs else Compiled(model)

    def current(self, model: Reann) -> Compiled | CompiledWithInputs:
        """Return a shared model, cached until the weights change."""
        if model.config.inputs:
            return CompiledWithInputs(model)
        return Compiled(model, shared=True)

    def heat_flux(
        self, model: Reann, graph: Graph, velocities: Float[Tensor, "atoms 3"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
        """Return energies relative to free atoms, eV, and the heat flux, eV Å per time.

        Raises
        ------
        UserError
            For coincident atoms, and positions that are not finite.
        """
        if model.config.inputs:
            model = at_numbers(model, numbers_of(graph, model.config.inputs)[0])
        system = arguments(graph, model.element_index)
        energies, flux = velocities.new_empty(graph.n_atoms), velocities.new_empty(3)
        arrays = (velocities.contiguous().numpy(), energies.numpy(), flux.numpy())
        n_threads = torch.get_num_threads()
        try:
            native.core().heat_flux(
                snapshot(model).model, 0, workspace(), *system, n_threads, *arrays
            )
        except (ValueError, RuntimeError) as error:
            raise refused(error) from error
        return energies, flux

    def step(self, potential: Potential | Ensemble) -> NativeStep | None:
        """Return the step without PyTorch, which uses the neighbor list of the calculator directly.

        None for models with electric fields, and for models without energies.
        """
        model = potential.model
        return NativeStep(potential) if len(model.heads) and not model.responses else None

    def device(self, name: str) -> str:
        """Return the name of a device; `auto` is the CPU."""
        return "cpu" if name == "auto" else name

    def identity(self) -> str:
        """Return the name and the instruction set."""
        return f"{self.name} {native.core().isa()}"


def unsupported_form(model: Reann) -> str | None:
    """Return why the C++ engine does not support a model, in Python or LAMMPS; None if it does."""
    if (reason := _unknown_recursion(model.recursion)) is not None:
        return reason
    return _several_heads(model) if len(model.heads) else NO_ENERGY


def _several_heads(model: Reann) -> str | None:
    if len(model.heads) > 1:
        return f"it computes one head, and the model has {', '.join(model.heads)}"
    return None


def _unknown_outputs(model: Reann, request: Request) -> str | None:
    others = request.names.difference(NAMES)
    if not len(model.heads) and (not others or request.names & OF_ENERGY):
        return NO_ENERGY
    if missing := sorted(others.difference(model.output_names)):
        return f"the model has no output {', '.join(missing)}"
    if others and (unknown := unknown_heads(model)):
        unsupported = ", ".join([name for name in unknown if name in others] or unknown)
        if model.config.messages == "equivariant":
            return f"it computes outputs of heads that read states, not {unsupported}"
        return (
            f"it computes {unsupported} only for models with equivariant messages, such as preset"
            " default"
        )
    return None


def _unknown_recursion(recursion: Representation) -> str | None:
    if type(recursion) is EquivariantRecursion:
        return None
    if not isinstance(recursion, Recursion):
        return f"it does not support {recursion.messages} messages"
    host, update = type(recursion.host), type(recursion.update)
    if host is not EmbeddedDensity:
        return f"it supports the host EmbeddedDensity, not {host.__name__}"
    if update not in (ScalarMessages, Directional):
        return f"it supports scalar and directional messages, not {update.__name__}"
    return None


def modules_of(module: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and all submodules; several times faster than `module.modules()`."""
    yield module
    for inside in module._modules.values():  # noqa: SLF001
        if inside is not None:
            yield from modules_of(inside)


def is_changed(module: nn.Module) -> bool:
    """Return whether hooks or parametrizations change the results of a module."""
    added = module._forward_hooks or module._forward_pre_hooks  # noqa: SLF001
    return bool(added) or "parametrizations" in module._modules  # noqa: SLF001


def _has_trained_buffer(module: nn.Module) -> bool:
    return any(b is not None and b.requires_grad for b in module._buffers.values())  # noqa: SLF001
