"""The embedded density: sums over the neighbors' Gaussian orbitals, and their products.

    s_i^{a,k} = sum_j c_j^k R_k(r_ij) Y_a(r_ij),      rho_i = products(s_i)

EANN (J. Phys. Chem. Lett. 10, 4962, 2019); the weights are the orbital coefficients c.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from reann.config import ModelConfig
from reann.facts import ORBITALS_OF_MANY
from reann.model.hosts.angular import angular
from reann.model.hosts.host import MomentHost, NeighborFunctions
from reann.model.hosts.products import Gram, ManyBody, Orbitals
from reann.model.hosts.radial import CUTOFF_FUNCTIONS, Gaussians
from reann.model.neighborhood import Neighborhood


class EmbeddedDensity(MomentHost):
    """The density of EANN and REANN."""

    def __init__(
        self, config: ModelConfig, n_elements: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.cutoff, self.l_max, self.unit = config.cutoff, config.l_max, config.angular == "unit"
        self.cutoff_function = CUTOFF_FUNCTIONS[config.cutoff_function]
        self.radial = Gaussians(
            n_elements,
            config.n_radial,
            config.cutoff,
            per_pair=config.radial == "pair",
            free=config.radial_width == "free",
        )
        self.density = _products(config, generator)
        self.n_weights, self.width = config.n_radial, self.density.width

    def prepare(self, atoms: Neighborhood) -> NeighborFunctions:
        """Return the orbitals of all neighbors, radial and angular part."""
        r = torch.linalg.vector_norm(atoms.vector, dim=-1)
        radial = self.radial(r, atoms.element, atoms.element[atoms.neighbor])
        radial = radial * self.cutoff_function(r, self.cutoff)[..., None]
        direction = atoms.vector / r[..., None] if self.unit else atoms.vector
        return NeighborFunctions(atoms, radial, angular(direction, self.l_max))

    def invariants(
        self, s: Float[Tensor, "atoms components weights"], t: int
    ) -> Float[Tensor, "atoms features"]:
        """Return the density of moments."""
        return self.density(s, t)


def _products(config: ModelConfig, generator: torch.Generator | None) -> Gram | ManyBody | Orbitals:
    if config.features == "many_body" and config.l_max >= 2:
        n_orbitals = config.n_orbitals or ORBITALS_OF_MANY
        return ManyBody(config.n_radial, config.l_max, n_orbitals, generator=generator)
    if config.features != "orbitals":
        return Gram(config.n_radial, config.l_max)
    products = config.n_radial * (config.n_radial + 1) // 2
    n_products = products * (config.l_max + 1)
    return Orbitals(
        config.n_radial,
        config.l_max,
        config.n_orbitals or (products if config.orbitals_per_l else n_products),
        per_l=config.orbitals_per_l,
        n_contractions=config.n_recursions + 1 if config.orbitals_per_recursion else 1,
        generator=generator,
    )
