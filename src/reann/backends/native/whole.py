"""Energies of whole structures beside the native engine: charges from it, and back to forces.

The engine gives what charges are made of, y. The terms give their energy U(r, strain, y) and its
derivatives in float64; dU/dy goes back into the engine, whose adjoint gives the forces of
sum_i E_i + sum_i (dU/dy_i) y_i.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from reann import native
from reann.backends.native.function import Computed, compute
from reann.backends.native.outputs import quantities
from reann.backends.native.weights import workspace
from reann.graph import Graph
from reann.model import Reann
from reann.native.system import Arguments

OF_ADJOINT = frozenset({"forces", "strain"})


def compute_whole(
    engine: Any, source: Reann, graph: Graph, system: Arguments, wanted: Collection[str]
) -> Computed:
    """Return what is wanted of a model with terms of whole structures."""
    needed = {name for term in source.structure_terms for name in term.needs}
    first = set(wanted) - OF_ADJOINT | ({"outputs"} if needed else set())
    found = compute(engine, system, first)
    y, before = found.outputs, {}
    if y is not None and needed:
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            before = quantities(source, graph, system.element, y)
    slopes = [term.slopes(graph, before) for term in source.structure_terms]
    found = found._replace(energies=found.energies + sum(s.energies for s in slopes))
    if OF_ADJOINT.isdisjoint(wanted):
        return found
    by_output = [(before[name], slope) for s in slopes for name, slope in s.by_output.items()]
    seeds = None
    if by_output and y is not None:
        outputs, given = zip(*by_output, strict=True)
        (seeds,) = torch.autograd.grad(outputs, y, given, materialize_grads=True)
    by_position, by_strain = sum(s.by_position for s in slopes), sum(s.by_strain for s in slopes)
    forces, strain = torch.empty_like(graph.positions), torch.empty_like(graph.cell)
    native.core().derivatives(
        engine,
        0,
        workspace(),
        *system,
        torch.get_num_threads(),
        torch.ones(1, system.n_atoms, dtype=torch.float64).numpy(),
        None if seeds is None else seeds[None].contiguous().numpy(),
        forces[None].numpy(),
        strain[None].numpy(),
    )
    return found._replace(forces=forces - by_position, strain=strain + by_strain)


def with_constants(found: Computed, source: Reann, graph: Graph) -> Computed:
    """Return results that carry gradients, with the terms that do not depend on parameters."""
    for term in source.structure_terms:
        assert not term.needs, "the backend does not support it"
        own = term.slopes(graph, {})
        found = found._replace(
            energies=found.energies + own.energies,
            forces=None if found.forces is None else found.forces - own.by_position,
            strain=None if found.strain is None else found.strain + own.by_strain,
        )
    return found
