"""The native engine as a backend: what it can do, and what it leaves to the reference."""

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
from reann.quantities import BORN

if TYPE_CHECKING:
    from reann.potential import Ensemble, Potential


OF_ENERGY = frozenset(PROPERTIES)
NO_ENERGY = "it computes energies, and the model has none"


class Native(Backend):
    """C++ on CPUs, for the model of this package with the embedded density."""

    name = "native"

    def unavailable(self) -> str | None:
        """Return why this installation has no native engine, None if it has one."""
        return native.missing()

    def supports(
        self, model: AtomicEnergies, request: Request, graph: Graph | None = None
    ) -> str | None:
        """Return why the reference has to do this, None if the native engine can.

        PyTorch refuses second derivatives with respect to parameters when they are asked for.
        """
        if (why := native.missing()) is not None:
            return why
        if type(model) is not Reann:
            return f"it knows Reann itself, not {type(model).__name__}"
        assert isinstance(model, Reann)
        others = request.names.difference(NAMES)
        why = _unknown_recursion(model.recursion) or _several_heads(model)
        if (why := why or _unknown_outputs(model, request)) is not None:
            return why
        moved = graph is not None and (graph.positions.requires_grad or graph.cell.requires_grad)
        # Private, and the only way to ask.
        forward = forward_ad._current_level >= 0  # noqa: SLF001
        transformed = torch._C._are_functorch_transforms_active()  # noqa: SLF001
        kept, modules = request.create_graph, list(modules_of(model))
        obstacles = {
            "it computes no hooks and no parametrizations of modules": any(
                map(is_changed, modules)
            ),
            "it runs on CPUs only": model.element_index.device.type != "cpu",
            "it has no gradients of positions and cells": moved,
            "it has no gradients of buffers": kept and any(map(_has_trained_buffer, modules)),
            "it has no gradients of energies of charges": kept
            and any(term.needs for term in model.structure_terms),
            "single atoms have no virials where energies depend on whole structures": "virials"
            in request.names
            and bool(model.structure_terms),
            "it has no gradients of per-atom virials": kept and "virials" in request.names,
            "it has no gradients of Born effective charges": kept and BORN in others,
            "it has no forward mode and no function transforms": forward or transformed,
        }
        return next((why for why, there in obstacles.items() if there), None)

    def compile(self, model: Reann) -> Compiled | CompiledWithInputs:
        """Return a model of the caller's own."""
        return CompiledWithInputs(model) if model.config.inputs else Compiled(model)

    def current(self, model: Reann) -> Compiled | CompiledWithInputs:
        """Return one that is kept until the weights of the model change."""
        if model.config.inputs:
            return CompiledWithInputs(model)
        return Compiled(model, shared=True)

    def heat_flux(
        self, model: Reann, graph: Graph, velocities: Float[Tensor, "atoms 3"]
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
        """Return energies above free atoms of one structure, eV, and their flow, eV Å per time.

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
        """Return what computes without PyTorch, with the whole neighbor list of a calculator.

        None for a model in electric fields, or with terms of whole structures: what fields do to
        ions, and these terms, are computed beside the engine. None for a model without energies,
        which such a step always has.
        """
        model = potential.model
        beside = model.responses or model.structure_terms
        return NativeStep(potential) if len(model.heads) and not beside else None

    def device(self, name: str) -> str:
        """Return the name of a device; `auto` is the CPU."""
        return "cpu" if name == "auto" else name

    def identity(self) -> str:
        """Return the name and the instruction set."""
        return f"{self.name} {native.core().isa()}"


def unsupported_form(model: Reann) -> str | None:
    """Return why no C++ computes a model, in Python or in LAMMPS, None if it does."""
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
    if lacking := sorted(others.difference(model.output_names)):
        return f"the model has no output {', '.join(lacking)}"
    if others and (unknown := unknown_heads(model)):
        wanted = [name for name in unknown if name in others]
        return f"it knows outputs that are read off states, not {', '.join(wanted or unknown)}"
    return None


def _unknown_recursion(recursion: Representation) -> str | None:
    if type(recursion) is EquivariantRecursion:
        return None
    if not isinstance(recursion, Recursion):
        return f"it does not know {recursion.messages} messages"
    host, update = type(recursion.host), type(recursion.update)
    if host is not EmbeddedDensity:
        return f"it knows the host EmbeddedDensity, not {host.__name__}"
    if update not in (ScalarMessages, Directional):
        return f"it knows scalar and directional messages, not {update.__name__}"
    return None


def modules_of(module: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and all inside; `module.modules()` takes several times as long."""
    yield module
    for inside in module._modules.values():  # noqa: SLF001
        if inside is not None:
            yield from modules_of(inside)


def is_changed(module: nn.Module) -> bool:
    """Whether what a program has added to a module takes part in what it computes."""
    added = module._forward_hooks or module._forward_pre_hooks  # noqa: SLF001
    return bool(added) or "parametrizations" in module._modules  # noqa: SLF001


def _has_trained_buffer(module: nn.Module) -> bool:
    return any(b is not None and b.requires_grad for b in module._buffers.values())  # noqa: SLF001
