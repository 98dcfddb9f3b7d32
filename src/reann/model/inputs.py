"""Total charge and spin of a structure, as numbers of its atoms.

    x = (max(Q, 0) / N,  max(-Q, 0) / N,  (M - 1) / N)

for a structure of N atoms with the total charge Q and the spin multiplicity M = 2S + 1. Positive
and negative charges are separate, so that a cation, the neutral molecule and an anion of the same
geometry have independent energies. Numbers are per atom, so that two distant copies with twice the
charge have twice the energy.

The numbers enter the initial states of the recursion and the reference energies:

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
"""Numbers of atoms per input."""


def n_numbers(names: Sequence[str]) -> int:
    """Return the count of numbers of an atom for these inputs."""
    return sum(NUMBERS_OF[name] for name in names)


def numbers_of(graph: Graph, names: Sequence[str]) -> Float[Tensor, "systems numbers"]:
    """Return x of all systems, float64, in the order of the names.

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
            f"The spin multiplicity is {multiplicity.min():g}, but 2S + 1 is at least 1.",
            "spin",
            "Use 1 for a singlet, 2 for a doublet, 3 for a triplet.",
        )
    return multiplicity - 1.0
