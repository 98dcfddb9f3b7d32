"""Terms: the parts of a potential that are summed, such as the network and the repulsion.

A term computes named numbers for each atom from its neighbors, `energies` among them, in eV and
float64. It also gets what the terms before it found. A term of structures has no cutoff, or one of
its own: it gets positions and cells, takes charges from the network, and is differentiated with
respect to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from reann.graph import Graph
from reann.model.neighborhood import Neighborhood
from reann.model.strained import Strained

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


class TermSlopes(NamedTuple):
    """Energies of a term of structures, and the first derivatives of their sum."""

    energies: Float[Tensor, " atoms"]
    """eV."""
    by_position: Float[Tensor, "atoms 3"]
    """eV/Å."""
    by_strain: Float[Tensor, "systems 3 3"]
    """eV."""
    by_output: dict[str, Tensor]
    """With respect to the outputs that the term takes, by name."""


class StructureTerm:
    """Energies that depend on whole structures, beyond the neighbors of the atoms.

    Attributes
    ----------
    needs
        Outputs of the model that it takes.
    """

    needs: tuple[str, ...] = ()

    def of_structures(
        self,
        graph: Graph,
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "systems 3 3"],
        before: Mapping[str, Tensor],
    ) -> Float[Tensor, " atoms"]:
        """Return what each atom adds to the energy, eV, float64.

        Parameters
        ----------
        positions, cell
            Those of the graph, with respect to which the energies are differentiated, Å.
        before
            The outputs in `needs`, by name.
        """
        raise NotImplementedError

    def slopes(self, graph: Graph, before: Mapping[str, Tensor]) -> TermSlopes:
        """Return energies and first derivatives, which carry no gradients."""
        strained = Strained.of(graph, derivatives=True, strain=True, is_variable=False)
        with torch.enable_grad():
            given = {name: before[name].detach().clone().requires_grad_() for name in self.needs}
            energies = self.of_structures(graph, strained.positions, strained.cell, given)
        variables = [strained.moved, strained.strain, *given.values()]
        found = torch.autograd.grad(energies.sum(), variables, materialize_grads=True)
        by_output = dict(zip(given, found[2:], strict=True))
        return TermSlopes(energies.detach(), found[0], found[1], by_output)


def summed(terms: Iterable[Term], atoms: Neighborhood) -> Outputs:
    """Return the sum of the terms, output by output."""
    total: Outputs = {}
    for term in terms:
        for name, values in term(atoms, dict(total)).items():
            total[name] = total[name] + values if name in total else values
    return total
