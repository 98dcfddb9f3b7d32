"""The heat flux of the reference: how energy flows along what atoms read of their neighbors.

J = -sum_ij r_ij [ g_ij . v_j + sum_t (dE/dc_ij^(t)) . dc_j^(t)/dt ]; see `reann.flux`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from reann.graph import Graph
from reann.model import Reann
from reann.model.neighborhood import Neighborhood


@dataclass(frozen=True, eq=False)
class Recording(Neighborhood):
    """A neighborhood that remembers what atoms have read of their neighbors."""

    read: list[Tensor] = field(default_factory=list)

    def of_neighbors(self, values: Float[Tensor, "atoms ..."]) -> Float[Tensor, "atoms slots ..."]:
        """Return the values of the neighbors of every atom."""
        self.read.append(super().of_neighbors(values))
        return self.read[-1]


def flows(
    model: Reann, graph: Graph, v: Float[Tensor, "atoms 3"]
) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
    """Return the energies of the atoms above those of free atoms, and the flux."""
    hood = model.neighborhood(graph, graph.edge_vectors())
    v = torch.empty_like(v).index_copy(0, hood.rank, v)
    v_j = hood.of_neighbors(v)
    with torch.enable_grad():
        r = hood.vector.detach().requires_grad_()
        own = hood.element, hood.counts, hood.rank, hood.neighbor, r, hood.head
        recorded = Recording(*own, inputs=hood.inputs)
        energies = model.energies(recorded)
        # A host may read several times, before and in a recursion; c^(0) does not change.
        read = [x for x in recorded.read if _depends(x, r)]
        g, *through = torch.autograd.grad(
            energies.sum(), [r, *read], retain_graph=True, materialize_grads=True
        )
    power = (g * v_j).sum(-1)
    for slope, rate in zip(through, _rates(read, r, v_j - v[:, None]), strict=True):
        power = power + (slope * rate).flatten(2).sum(-1)
    free = model.reference_energies[model.element_index[graph.atomic_numbers]]
    return (energies - free).detach(), -(r.detach() * power[..., None]).sum((0, 1))


def _rates(read: list[Tensor], r: Tensor, velocity: Tensor) -> tuple[Tensor, ...]:
    """Return how fast what was read changes: a derivative forward, by two derivatives backward."""
    if not read:
        return ()
    weights = [torch.zeros_like(x, requires_grad=True) for x in read]
    (pulled,) = torch.autograd.grad(read, r, weights, create_graph=True)
    return torch.autograd.grad(pulled, weights, velocity)


def _depends(value: Tensor, variable: Tensor) -> bool:
    """Return whether PyTorch computed a value from a variable, a leaf."""
    reached, waiting = set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in reached:
            continue
        if getattr(node, "variable", None) is variable:
            return True
        reached.add(node)
        waiting += [before for before, _ in node.next_functions]
    return False
