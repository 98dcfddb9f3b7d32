"""The embedded density of FIREANN, which depends on an electric field.

    s_i^{a,k} = e_k Y_a(F) + sum_j c_j^k R_k(r_ij) Y_a(r_ij),      rho_i = products(s_i)

Zhang and Jiang, Nat. Commun. 14, 6424 (2023). The field acts like one more neighbor, which is the
same for all elements and in all recursions. Its term with l = 0 is constant, so the features of an
isolated atom are not zero, even without a field. Only converted models have this form; new models
in electric fields have equivariant messages.
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
        """Create the density.

        Parameters
        ----------
        n_orbitals
            Number of contracted orbitals.
        unit
            Whether the angular functions are those of unit vectors, or of vectors in Å.
        passes_orbitals
            Whether atoms pass on their orbitals, as in versions since 2024.
        contractions
            Whether each recursion has a separate contraction, as in the first version.
        reversed_field
            Whether the model depends on -F, because its vectors point to the center.
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
        """Return the contribution of a field in V/Å to the moments."""
        n_atoms = len(atoms.element)
        zero = self.field_weights.new_zeros(n_atoms, 3)
        F = zero if atoms.field is None else self.sign * atoms.field.to(zero.dtype)
        return angular(F[:, None], self.l_max) * self.field_weights

    def invariants(
        self, s: Float[Tensor, "atoms components weights"], t: int
    ) -> Float[Tensor, "atoms features"]:
        """Return the density of moments."""
        return self.density(s, t)
