"""Structure terms outside the native engine: from its charges to energies and forces.

The engine computes the outputs y, from which charges are derived. The terms compute their energy
U(r, strain, y) and its derivatives in float64; dU/dy is passed to the engine, whose adjoint gives
the forces of sum_i E_i + sum_i (dU/dy_i) y_i.
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
    engine: Any, source: Reann, graph: Graph, system: Arguments, requested: Collection[str]
) -> Computed:
    """Return the requested results of a model with structure terms."""
    needed = {name for term in source.structure_terms for name in term.needs}
    first = set(requested) - OF_ADJOINT | ({"outputs"} if needed else set())
    computed = compute(engine, system, first)
    y, before = computed.outputs, {}
    if y is not None and needed:
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            before = quantities(source, graph, system.element, y)
    slopes = [term.slopes(graph, before) for term in source.structure_terms]
    computed = computed._replace(energies=computed.energies + sum(s.energies for s in slopes))
    if OF_ADJOINT.isdisjoint(requested):
        return computed
    by_output = [(before[name], slope) for s in slopes for name, slope in s.by_output.items()]
    seeds = None
    if by_output and y is not None:
        outputs, gradients = zip(*by_output, strict=True)
        (seeds,) = torch.autograd.grad(outputs, y, gradients, materialize_grads=True)
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
    return computed._replace(forces=forces - by_position, strain=strain + by_strain)


def with_constants(computed: Computed, source: Reann, graph: Graph) -> Computed:
    """Return differentiable results, plus the terms that do not depend on parameters."""
    for term in source.structure_terms:
        assert not term.needs, "the backend does not support it"
        slopes = term.slopes(graph, {})
        computed = computed._replace(
            energies=computed.energies + slopes.energies,
            forces=None if computed.forces is None else computed.forces - slopes.by_position,
            strain=None if computed.strain is None else computed.strain + slopes.by_strain,
        )
    return computed
