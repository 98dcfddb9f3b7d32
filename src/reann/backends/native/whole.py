"""Structure terms outside the native engine: from its outputs to energies and forces.

The engine computes the outputs y, from which charges are derived. The terms compute their energy
U(r, strain, y) and its derivatives in float64; p = dU/dy is passed to the engine, whose adjoint
gives the forces of sum_i E_i + sum_i p_i . y_i.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from reann import native
from reann.backends.native.function import Computed, compute
from reann.backends.native.outputs import quantities
from reann.backends.native.weights import workspace
from reann.graph import Graph
from reann.model import Reann
from reann.native.system import Arguments

OF_ADJOINT = frozenset({"forces", "strain"})


class Beyond(NamedTuple):
    """The structure terms of a batch: energies, and the first derivatives of their sum U."""

    energies: Float[Tensor, " atoms"]
    """eV."""
    by_position: Float[Tensor, "atoms 3"]
    """eV/Å."""
    by_strain: Float[Tensor, "structures 3 3"]
    """eV."""
    by_output: Float[Tensor, "atoms outputs"] | None
    """p; None if U does not depend on the outputs of the engine."""

    def detached(self) -> Beyond:
        """Return the same without gradients."""
        p = None if self.by_output is None else self.by_output.detach()
        energies, by_position, by_strain = (x.detach() for x in self[:3])
        return Beyond(energies, by_position, by_strain, p)


def beyond(
    source: Reann,
    graph: Graph,
    element: NDArray[np.int32],
    y: Float[Tensor, "atoms outputs"] | None = None,
) -> Beyond:
    """Return the structure terms of a batch.

    If gradients are enabled, they have gradients with respect to y, which then requires one, and to
    parameters.

    Parameters
    ----------
    element
        As in `quantities`.
    y
        Outputs of the engine, where there are terms that need them.
    """
    kept, before = torch.is_grad_enabled(), {}
    needed = needs(source)
    if y is not None and needed:
        with torch.enable_grad():
            y = y if kept else y.detach().requires_grad_()
            before = quantities(source, graph, element, y)
    slopes = [term.slopes(graph, before) for term in source.structure_terms]
    by_output = [(before[name], slope) for s in slopes for name, slope in s.by_output.items()]
    p = None
    if by_output and y is not None:
        outputs, gradients = zip(*by_output, strict=True)
        (p,) = torch.autograd.grad(
            outputs, y, gradients, create_graph=kept, retain_graph=kept, materialize_grads=True
        )
    energies, by_position, by_strain = (
        torch.stack(parts).sum(0) for parts in zip(*(s[:3] for s in slopes), strict=True)
    )
    return Beyond(energies, by_position, by_strain, p)


def needs(source: Reann) -> frozenset[str]:
    """Return the outputs that the structure terms of a model depend on."""
    return frozenset(name for term in source.structure_terms for name in term.needs)


def compute_whole(
    engine: Any, source: Reann, graph: Graph, system: Arguments, requested: Collection[str]
) -> Computed:
    """Return the requested results of a model with structure terms, without gradients."""
    requested = set(requested)
    with torch.no_grad():
        if not needs(source):
            computed = compute(engine, system, requested)
            return plus(computed, beyond(source, graph, system.element))
        if OF_ADJOINT.isdisjoint(requested):
            computed = compute(engine, system, requested | {"outputs"})
            return plus(computed, beyond(source, graph, system.element, computed.outputs))
        computed, terms = with_slopes(
            engine, system, requested, lambda y: beyond(source, graph, system.element, y)
        )
        if others := requested - OF_ADJOINT - {"outputs"}:
            more = compute(engine, system, others)
            computed = computed._replace(**{name: getattr(more, name) for name in others})
        return plus(computed, terms)


def with_slopes(
    engine: Any,
    system: Arguments,
    requested: Collection[str],
    terms_of: Callable[[Float[Tensor, "atoms outputs"]], Beyond],
) -> tuple[Computed, Beyond]:
    """Return energies, outputs, and the derivatives of sum_i E_i + sum_i p_i . y_i.

    Parameters
    ----------
    terms_of
        Function from the outputs y to the terms, which contain p.
    """
    n, results = system.n_atoms, list[Beyond]()
    energies = torch.empty(n, dtype=torch.float64)
    outputs = torch.empty(n, engine.n_outputs, dtype=torch.float64)
    forces = torch.empty(n, 3, dtype=torch.float64) if "forces" in requested else None
    shape = system.n_structures, 3, 3
    strain = torch.empty(shape, dtype=torch.float64) if "strain" in requested else None

    def slopes(_: NDArray[np.float64]) -> NDArray[np.float64]:
        terms = terms_of(outputs)
        results.append(terms)
        assert terms.by_output is not None
        return terms.by_output.detach().contiguous().numpy()

    native.core().evaluate_with_seeds(
        engine,
        0,
        workspace(),
        *system,
        torch.get_num_threads(),
        energies.numpy(),
        outputs.numpy(),
        None if forces is None else forces.numpy(),
        None if strain is None else strain.numpy(),
        slopes,
    )
    return Computed(energies, forces, strain, outputs=outputs), results[0]


def plus(computed: Computed, terms: Beyond) -> Computed:
    """Return results with the energies of terms and their derivatives at constant outputs."""
    return computed._replace(
        energies=computed.energies + terms.energies,
        forces=None if computed.forces is None else computed.forces - terms.by_position,
        strain=None if computed.strain is None else computed.strain + terms.by_strain,
    )
