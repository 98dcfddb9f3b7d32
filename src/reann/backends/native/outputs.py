"""Quantities that are read off the states: the engine reads, and heads do what is left to do."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from reann import native
from reann.backends.native.function import compute
from reann.backends.native.weights import snapshot, workspace
from reann.graph import Graph
from reann.model import Reann
from reann.model.state_heads import StateHead
from reann.native.system import arguments
from reann.properties import added_up


def unknown_heads(model: Reann) -> list[str]:
    """Return the names of heads that do something else than to read states."""
    return [
        name
        for name, head in model.output_heads.items()
        if getattr(type(head), "forward", None) is not StateHead.forward
    ]


def quantities(
    model: Reann, graph: Graph, outputs: Float[Tensor, "atoms outputs"]
) -> dict[str, Tensor]:
    """Return the outputs of a model by name, from the numbers that the engine read."""
    heads = {name: cast("StateHead", head) for name, head in model.output_heads.items()}
    widths = [sum(2 * l + 1 for l in head.rows.values()) for head in heads.values()]
    parts = zip(heads.items(), outputs.split(widths, dim=1), strict=True)
    values = {name: head.values(rows) for (name, head), rows in parts}
    return added_up(graph, model.placed(values, graph))


def derivatives(model: Reann, graph: Graph, name: str) -> Float[Tensor, "atoms 3 ..."]:
    """Return the derivatives of an output of systems with respect to the positions of their atoms.

    Of a dipole moment they are the Born effective charges, in e, (atoms, 3, 3): dmu_b / dr_a at
    [:, a, b]. The engine walks back once for each component of the output, for all systems.
    """
    system, engine = arguments(graph, model.element_index), snapshot(model).model
    outputs = compute(engine, system, {"outputs"}).outputs
    assert outputs is not None
    positions = graph.positions.detach().clone().requires_grad_()
    with torch.enable_grad():
        graph = replace(graph, positions=positions)
        values = quantities(model, graph, outputs.requires_grad_())[name]
        components = values.flatten(1).sum(0).unbind()
    each = [
        torch.autograd.grad(x, (outputs, positions), retain_graph=True, materialize_grads=True)
        for x in components
    ]
    seeds, direct = (torch.stack(parts) for parts in zip(*each, strict=True))
    forces = torch.empty_like(direct)
    energies = seeds.new_zeros(seeds.shape[:2])
    arrays = (energies.numpy(), seeds.numpy(), forces.numpy(), None)
    core, n_threads = native.core(), torch.get_num_threads()
    core.derivatives(engine, 0, workspace(), *system, n_threads, *arrays)
    return (direct - forces).permute(1, 2, 0).unflatten(2, values.shape[1:])
