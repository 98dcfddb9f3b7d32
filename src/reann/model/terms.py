"""Terms: the parts of a potential that are summed, such as the network and the repulsion.

A term computes named numbers for each atom from its neighbors, `energies` among them, in eV and
float64. It also gets what the terms before it found, so that electrostatics could take charges
from the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from reann.model.neighborhood import Neighborhood

Outputs = dict[str, Tensor]
"""Numbers of atoms by name, each (atoms, ...)."""


Term = Callable[[Neighborhood, Mapping[str, Tensor]], Outputs]
"""Returns what it adds, for the neighbors of atoms in the order of the elements, and for the sum of
the terms before it."""


def summed(terms: Iterable[Term], atoms: Neighborhood) -> Outputs:
    """Return the sum of the terms, output by output."""
    total: Outputs = {}
    for term in terms:
        for name, values in term(atoms, dict(total)).items():
            total[name] = total[name] + values if name in total else values
    return total
