"""Terms: the parts of the energy, such as the network and the repulsion.

A term computes outputs of each atom by name from its neighbors, among them `energies` in eV,
float64. It also receives the sum of the preceding terms. A structure term has no cutoff or a
different one: it depends on positions and cells, may take charges from the network, and is
differentiated with respect to all of them.
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
"""Outputs of atoms by name, each (atoms, ...)."""


Term = Callable[[Neighborhood, Mapping[str, Tensor]], Outputs]
"""Returns the contribution of a term, from the neighborhood and the sum of the preceding terms."""


class PairTerm(nn.Module):
    """A term that is a sum over pairs of atoms; override `energies`."""

    def forward(
        self,
        atoms: Neighborhood,
        before: Mapping[str, Tensor],  # noqa: ARG002 - independent of other terms
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
        """Return half the energies of the pairs of each atom in eV; r in Å, elements as indices."""
        raise NotImplementedError


class TermSlopes(NamedTuple):
    """Energies of a structure term, and the first derivatives of their sum."""

    energies: Float[Tensor, " atoms"]
    """eV."""
    by_position: Float[Tensor, "atoms 3"]
    """eV/Å."""
    by_strain: Float[Tensor, "systems 3 3"]
    """eV."""
    by_output: dict[str, Tensor]
    """With respect to the outputs in `needs`, by name."""


class StructureTerm:
    """A term that depends on whole structures.

    Attributes
    ----------
    needs
        Outputs of the model that the term depends on.
    """

    needs: tuple[str, ...] = ()

    def of_structures(
        self,
        graph: Graph,
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "systems 3 3"],
        before: Mapping[str, Tensor],
    ) -> Float[Tensor, " atoms"]:
        """Return the contribution of each atom to the energy in eV, float64.

        Parameters
        ----------
        positions, cell
            Positions and cells in Å; the energies are differentiated with respect to them.
        before
            The outputs in `needs`, by name.
        """
        raise NotImplementedError

    def slopes(self, graph: Graph, before: Mapping[str, Tensor]) -> TermSlopes:
        """Return energies and first derivatives.

        Unless gradients are disabled, they have gradients with respect to `before` and parameters.
        """
        kept = torch.is_grad_enabled()
        strained = Strained.of(graph, derivatives=True, strain=True, is_variable=False)
        with torch.enable_grad():
            outputs = {
                name: x if kept and x.requires_grad else x.detach().clone().requires_grad_()
                for name, x in ((name, before[name]) for name in self.needs)
            }
            energies = self.of_structures(graph, strained.positions, strained.cell, outputs)
        variables = [strained.moved, strained.strain, *outputs.values()]
        gradients = torch.autograd.grad(
            energies.sum(), variables, create_graph=kept, materialize_grads=True
        )
        by_output = dict(zip(outputs, gradients[2:], strict=True))
        energies = energies if kept else energies.detach()
        return TermSlopes(energies, gradients[0], gradients[1], by_output)


def summed(terms: Iterable[Term], atoms: Neighborhood) -> Outputs:
    """Return the sums of the outputs of the terms."""
    total: Outputs = {}
    for term in terms:
        for name, values in term(atoms, dict(total)).items():
            total[name] = total[name] + values if name in total else values
    return total
