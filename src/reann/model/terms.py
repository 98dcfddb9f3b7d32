"""Terms: the parts of a potential that are summed, such as the network and the repulsion.

A term computes named numbers for each atom from its neighbors, `energies` among them, in eV and
float64. It also gets what the terms before it found, so that electrostatics could take charges
from the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from reann.model.neighborhood import Neighborhood

Outputs = dict[str, Tensor]
"""Numbers of atoms by name, each (atoms, ...)."""


Term = Callable[[Neighborhood, Mapping[str, Tensor]], Outputs]
"""Returns what it adds, for the neighbors of atoms in the order of the elements, and for the sum of
the terms before it."""


class PairTerm(nn.Module):
    """A term whose energies are sums over pairs of atoms; override `energies`."""

    def forward(
        self,
        atoms: Neighborhood,
        before: Mapping[str, Tensor],  # noqa: ARG002 - asks no other term
    ) -> Outputs:
        """Return the energies of the pairs, eV."""
        r = torch.linalg.vector_norm(atoms.vector, dim=-1)
        neighbor = atoms.element[atoms.neighbor]
        return {"energies": self.energies(r, atoms.element, neighbor)}

    def energies(
        self,
        r: Float[Tensor, "atoms slots"],
        center: Int[Tensor, " atoms"],
        neighbor: Int[Tensor, "atoms slots"],
    ) -> Float[Tensor, " atoms"]:
        """Return half of each pair's energy for each atom, eV; r in Å, elements as indices."""
        raise NotImplementedError


def summed(terms: Iterable[Term], atoms: Neighborhood) -> Outputs:
    """Return the sum of the terms, output by output."""
    total: Outputs = {}
    for term in terms:
        for name, values in term(atoms, dict(total)).items():
            total[name] = total[name] + values if name in total else values
    return total
