# ruff: noqa: SLF001 - modules that share parameters have tables of their own
"""Models that depend on total charge and spin: the native engine computes each state separately.

For the numbers x of a structure (`reann.model.inputs`) such a model is equivalent to one without
inputs, with modified initial states and reference energies. Structures with the same numbers are
computed together, each group with its weights.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TypeVar, cast
from weakref import WeakSet

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from reann.backends.native.compiled import Compiled
from reann.backends.native.recent import STATES, Recent
from reann.backends.protocol import Request
from reann.graph import Graph
from reann.model import Reann
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.inputs import numbers_of
from reann.quantities import is_per_atom

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def at_numbers(model: Reann, x: Float[Tensor, " numbers"]) -> Reann:
    """Return the equivalent model without inputs for the numbers x of charge and spin.

    It shares the other parameters, and gradients reach the parameters of the model.
    """
    assert isinstance(model.recursion, EquivariantRecursion)
    elements = torch.arange(len(model.elements))
    shift = model.recursion.shift(x.expand(len(elements), -1), elements)
    plain, recursion, heads = _shallow(model), _shallow(model.recursion), _shallow(model.heads)
    plain.config = model.config.model_copy(update={"inputs": []})
    plain._modules |= {"recursion": recursion, "heads": heads}
    _replace(recursion, "embedding", model.recursion.embedding + shift)
    del recursion._parameters["of_inputs"], recursion._buffers["input_scale"]
    for name, head in zip(model.heads, model.heads.as_list(), strict=True):
        copied = heads._modules[name] = _shallow(head)
        _replace(copied, "reference_energies", head.reference_energies + x @ head.of_inputs)
        del copied._parameters["of_inputs"]
    return plain


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    """Replace a parameter by a tensor that depends on parameters."""
    module._parameters[name] = cast("nn.Parameter", value)


def _shallow(module: AnyModule) -> AnyModule:
    """Return a shallow copy of a module with the same parameters and submodules."""
    shallow = copy.copy(module)
    for table in ("_parameters", "_buffers", "_modules"):
        shallow.__dict__[table] = dict(module.__dict__[table])
    return shallow


class CompiledWithInputs:
    """A model with inputs: one compiled model for each recent state of charge, spin and size."""

    def __init__(self, source: Reann) -> None:
        self.source = source
        self._compiled: Recent[tuple[float, ...], Compiled] = Recent(STATES)
        self._fresh: WeakSet[Compiled] = WeakSet()

    def update(self, model: Reann) -> None:
        """Copy weights; compiled models of states are updated when they are used again."""
        self.source = model
        self._fresh.clear()

    def evaluate(self, graph: Graph, request: Request) -> dict[str, Tensor]:
        """Return properties; see `reann.properties.evaluate`."""
        numbers = numbers_of(graph, self.source.config.inputs)
        states, state = torch.unique(numbers, dim=0, return_inverse=True)
        if len(states) == 1:
            return self._of_state(states[0], request).evaluate(graph, request)
        groups = [torch.nonzero(state == k)[:, 0] for k in range(len(states))]
        parts = [
            self._of_state(x, request).evaluate(some_systems(graph, group), request)
            for x, group in zip(states, groups, strict=True)
        ]
        systems = torch.argsort(torch.cat(groups))
        atoms = torch.argsort(torch.cat([_atoms_of(graph, group) for group in groups]))
        return {
            name: torch.cat([part[name] for part in parts])[atoms if is_per_atom(name) else systems]
            for name in parts[0]
        }

    def _of_state(self, x: Float[Tensor, " numbers"], request: Request) -> Compiled:
        key = tuple(x.tolist())
        with torch.set_grad_enabled(request.create_graph):
            plain = at_numbers(self.source, x)
        compiled = self._compiled.of(key, lambda: self._new(plain))
        if compiled in self._fresh:
            compiled.source = plain
        else:
            compiled.update(plain)
        self._fresh.add(compiled)
        return compiled

    def _new(self, plain: Reann) -> Compiled:
        compiled = Compiled(plain)
        self._fresh.add(compiled)
        return compiled


def some_systems(graph: Graph, systems: Int[Tensor, " some"]) -> Graph:
    """Return the graph of some systems of a graph, without labels."""
    atoms = _atoms_of(graph, systems)
    place = torch.full((graph.n_atoms,), -1)
    place[atoms] = torch.arange(len(atoms))
    edges: Bool[Tensor, " edges"] = place[graph.center] >= 0
    first = torch.zeros(len(atoms) + 1, dtype=graph.first.dtype)
    first[1:] = graph.first.diff()[atoms].cumsum(0)
    sizes = graph.atoms_per_system[systems]
    of_systems = ("charge", "spin", "field", "head")
    inputs = {name: getattr(graph, name) for name in of_systems}
    return replace(
        graph,
        positions=graph.positions[atoms],
        atomic_numbers=graph.atomic_numbers[atoms],
        system=torch.arange(len(systems)).repeat_interleave(sizes),
        cell=graph.cell[systems],
        pbc=graph.pbc[systems],
        first=first,
        neighbor=place[graph.neighbor.to(torch.int64)][edges].to(graph.neighbor.dtype),
        edge_shift=graph.edge_shift[edges],
        labels={},
        **{name: None if values is None else values[systems] for name, values in inputs.items()},
    )


def _atoms_of(graph: Graph, systems: Int[Tensor, " some"]) -> Int[Tensor, " atoms"]:
    """Return the atoms of some systems, in ascending order of the systems."""
    requested = torch.zeros(graph.n_systems, dtype=torch.bool)
    requested[systems] = True
    return torch.nonzero(requested[graph.system])[:, 0]
