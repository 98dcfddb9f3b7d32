"""Total charge and spin of a structure, as numbers of each of its atoms.

    x = (max(Q, 0) / N,  max(-Q, 0) / N,  (M - 1) / N)

for a structure of N atoms with the total charge Q and the spin multiplicity M = 2S + 1. Positive
and negative charges are apart, so that a cation, the neutral molecule and an anion of one geometry
have independent energies. Per atom: two copies of a structure that have twice its charge have its
numbers, and twice its energy.

The numbers enter the states with which the recursion starts, and the reference energies:

    h_Z^0 = c_Z + sum_k x_k w_k,Z / s_k,      e_Z + sum_k x_k eta_k,Z.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from reann.errors import UserError
from reann.graph import Graph

NUMBERS_OF = {"charge": 2, "spin": 1}
"""How many numbers an input gives."""


def n_numbers(names: Sequence[str]) -> int:
    """Return how many numbers an atom has of these inputs."""
    return sum(NUMBERS_OF[name] for name in names)


def numbers_of(graph: Graph, names: Sequence[str]) -> Float[Tensor, "systems numbers"]:
    """Return x of every system, float64, in the order of the names.

    Raises
    ------
    UserError
        For a spin multiplicity below one.
    """
    values = {"charge": graph.charges(), "spin": graph.spins()}
    return numbers_of_values({name: values[name] for name in names}, graph.atoms_per_system)


def numbers_of_values(
    values: Mapping[str, Float[Tensor, " systems"]], n_atoms: Int[Tensor, " systems"]
) -> Float[Tensor, "systems numbers"]:
    """Return x of systems with these values by name; errors as `numbers_of`."""
    parts = []
    for name, value in values.items():
        if name == "charge":
            parts += [value.clamp(min=0.0), (-value).clamp(min=0.0)]
        else:
            parts.append(_unpaired(value))
    return torch.stack(parts, dim=1) / n_atoms[:, None]


def _unpaired(multiplicity: Float[Tensor, " systems"]) -> Float[Tensor, " systems"]:
    if (multiplicity < 1.0).any():
        raise UserError(
            f"A spin multiplicity is {multiplicity.min():g}, and 2S + 1 is at least 1.",
            "spin",
            "State 1 for a singlet, 2 for a doublet, 3 for a triplet.",
        )
    return multiplicity - 1.0
