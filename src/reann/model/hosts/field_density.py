"""The embedded density in an electric field, as FIREANN has it.

    s_i^{a,k} = e_k Y_a(F) + sum_j c_j^k R_k(r_ij) Y_a(r_ij),      rho_i = products(s_i)

Zhang and Jiang, Nat. Commun. 14, 6424 (2023). The term of the field is one more neighbor, the same
for all elements and in every recursion. Its part of l = 0 is constant, so features of an atom
without neighbors are not zero, also without a field. New models have a field in equivariant
messages instead; this form is that of models that are converted.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.model.hosts.angular import angular
from reann.model.hosts.host import MomentHost, NeighborFunctions
from reann.model.hosts.products import Orbitals
from reann.model.hosts.radial import CUTOFF_FUNCTIONS, Gaussians
from reann.model.neighborhood import Neighborhood
from reann.model.nodes import Description, NodeState, Update


class FieldDensity(MomentHost):
    """The density of FIREANN.

    Attributes
    ----------
    field_weights
        e, (n_radial,).
    """

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        generator: torch.Generator | None = None,
        *,
        n_orbitals: int = 30,
        unit: bool = True,
        passes_orbitals: bool = True,
        contractions: bool = False,
        reversed_field: bool = False,
    ) -> None:
        """Make the density.

        Parameters
        ----------
        n_orbitals
            Contracted orbitals.
        unit
            Whether directions are unit vectors, else vectors in Å.
        passes_orbitals
            Whether atoms pass on their orbitals, as versions since 2024 have it.
        contractions
            Whether each recursion has a contraction of its own, as the first version has it.
        reversed_field
            Whether the model depends on -F, as those do whose vectors end at the center.
        """
        super().__init__()
        self.cutoff, self.l_max, self.unit = config.cutoff, config.l_max, unit
        self.passes_orbitals, self.sign = passes_orbitals, -1.0 if reversed_field else 1.0
        self.cutoff_function = CUTOFF_FUNCTIONS[config.cutoff_function]
        n = config.n_radial
        self.radial = Gaussians(n_elements, n, config.cutoff, per_pair=False, free=True)
        self.field_weights = nn.Parameter(torch.ones(n))
        self.density = Orbitals(
            n,
            config.l_max,
            n_orbitals,
            per_l=False,
            n_contractions=config.n_recursions + 1 if contractions else 1,
            generator=generator,
        )
        self.n_weights, self.width = n, self.density.width

    def prepare(self, atoms: Neighborhood) -> NeighborFunctions:
        """Return the orbitals of all neighbors, radial and angular part, and cutoff functions."""
        r = torch.linalg.vector_norm(atoms.vector, dim=-1)
        cutoff = self.cutoff_function(r, self.cutoff)
        radial = self.radial(r, atoms.element, atoms.element[atoms.neighbor])
        direction = atoms.vector / r[..., None] if self.unit else atoms.vector
        functions = angular(direction, self.l_max)
        return NeighborFunctions(atoms, radial * cutoff[..., None], functions, cutoff)

    def describe(self, neighbors: Any, state: NodeState, t: int, update: Update) -> Description:
        """Return features and moments in recursion `t`."""
        s = self.moments(neighbors, update.read_weights(neighbors, state, t)) + self.of_field(
            neighbors.atoms
        )
        received = update.read_moments(neighbors, state, t)
        if received is not None:
            s = s + received
        return Description(self.invariants(s, t), s)

    def of_field(self, atoms: Neighborhood) -> Float[Tensor, "atoms components weights"]:
        """Return what the field adds to the moments; V/Å are its unit."""
        n_atoms = len(atoms.element)
        zero = self.field_weights.new_zeros(n_atoms, 3)
        F = zero if atoms.field is None else self.sign * atoms.field.to(zero.dtype)
        return angular(F[:, None], self.l_max) * self.field_weights

    def invariants(
        self, s: Float[Tensor, "atoms components weights"], t: int
    ) -> Float[Tensor, "atoms features"]:
        """Return the density of moments."""
        return self.density(s, t)
