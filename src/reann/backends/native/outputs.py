"""Outputs of states: the engine computes rows of atoms, and heads the quantities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from reann import native
from reann.backends.native.function import compute
from reann.backends.native.weights import snapshot, workspace
from reann.graph import Graph
from reann.model import Reann
from reann.model.state_heads import StateHead, linear_of
from reann.native.system import arguments
from reann.properties import added_up
from reann.response import about_a_fixed_origin


def unknown_heads(model: Reann) -> list[str]:
    """Return the names of heads that do not read states."""
    return [
        name
        for name, head in model.output_heads.items()
        if getattr(type(head), "forward", None) is not StateHead.forward
    ]


def quantities(
    model: Reann,
    graph: Graph,
    element: NDArray[np.int32],
    outputs: Float[Tensor, "atoms outputs"],
) -> dict[str, Tensor]:
    """Return the outputs of a model by name, from the rows of the engine.

    Parameters
    ----------
    element
        Index of the element of each atom, as in the engine.
    """
    linear, widths = linear_of(cast("StateHead", x) for x in model.output_heads.values())
    indices = torch.from_numpy(element)
    parts = linear(outputs, indices).split(widths, dim=1)
    of_heads = dict(zip(model.output_heads, parts, strict=True))
    return added_up(graph, model.placed(of_heads, graph, indices))


def derivatives(
    model: Reann, graph: Graph, name: str, engine: Any = None
) -> Float[Tensor, "atoms ..."]:
    """Return the derivatives of an output of systems with respect to the positions of their atoms.

    For a polarizability alpha_bc, dalpha_bc / dr_a is at [:, b, c, a]. There is one backward pass
    per component of the output, for all systems together.

    Parameters
    ----------
    engine
        Model of the extension; by default with the current weights.
    """
    system = arguments(graph, model.element_index)
    engine = snapshot(model).model if engine is None else engine
    outputs = compute(engine, system, {"outputs"}).outputs
    assert outputs is not None
    positions = graph.positions.detach().clone().requires_grad_()
    with torch.enable_grad():
        graph = replace(graph, positions=positions)
        values = quantities(model, graph, system.element, outputs.requires_grad_())[name]
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
    return (direct - forces).permute(1, 0, 2).unflatten(1, values.shape[1:])


def born_charges(model: Reann, graph: Graph, engine: Any = None) -> Float[Tensor, "atoms 3 3"]:
    """Return the Born effective charges of the dipole of a head, e; rows are dipoles."""
    return about_a_fixed_origin(derivatives(model, graph, "dipole", engine), graph)
