"""The heat flux of the reference, from the values that atoms read from their neighbors.

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
    """A neighborhood that records the values that atoms read from their neighbors."""

    read: list[Tensor] = field(default_factory=list)

    def of_neighbors(self, values: Float[Tensor, "atoms ..."]) -> Float[Tensor, "atoms slots ..."]:
        """Return the values of the neighbors of all atoms, and record them."""
        self.read.append(super().of_neighbors(values))
        return self.read[-1]


def flows(
    model: Reann, graph: Graph, v: Float[Tensor, "atoms 3"]
) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
    """Return the energies of the atoms relative to free atoms, eV, and the flux."""
    atoms = model.neighborhood(graph, graph.edge_vectors())
    v = torch.empty_like(v).index_copy(0, atoms.rank, v)
    v_j = atoms.of_neighbors(v)
    with torch.enable_grad():
        r = atoms.vector.detach().requires_grad_()
        fields = atoms.element, atoms.counts, atoms.rank, atoms.neighbor, r, atoms.head
        recorded = Recording(*fields, inputs=atoms.inputs)
        energies = model.energies(recorded)
        # A host may read several times; c^(0) does not depend on positions.
        read = [x for x in recorded.read if _depends(x, r)]
        g, *through = torch.autograd.grad(
            energies.sum(), [r, *read], retain_graph=True, materialize_grads=True
        )
    power = (g * v_j).sum(-1)
    for slope, rate in zip(through, rates(read, r, v_j - v[:, None]), strict=True):
        power = power + (slope * rate).flatten(2).sum(-1)
    free = model.reference_energies[model.element_index[graph.atomic_numbers]]
    return (energies - free).detach(), -(r.detach() * power[..., None]).sum((0, 1))


def rates(read: list[Tensor], r: Tensor, velocity: Tensor) -> tuple[Tensor, ...]:
    """Return time derivatives of the recorded values: forward mode by two backward passes."""
    if not read:
        return ()
    weights = [torch.zeros_like(x, requires_grad=True) for x in read]
    (pulled,) = torch.autograd.grad(read, r, weights, create_graph=True)
    return torch.autograd.grad(pulled, weights, velocity)


def _depends(value: Tensor, variable: Tensor) -> bool:
    """Return whether a value was computed from a variable (a leaf)."""
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
