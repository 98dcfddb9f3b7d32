"""Weighted atom-centered symmetry functions, radial and angular.

    G_i^k = sum_j w_j^k exp(-alpha_k (r_ij - rs_k)^2) fc(r_ij)
    G_i^m = sum_{j<k} w_j^m w_k^m 2^(1-zeta) (1 + lambda cos_jik)^zeta
            exp(-eta (r_ij^2 + r_ik^2 + r_jk^2)) fc(r_ij) fc(r_ik) fc(r_jk)

Behler, J. Chem. Phys. 134, 074106 (2011), with a weight for every element and function (Gastegger
and others, J. Chem. Phys. 148, 241709, 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reann.config import ModelConfig
from reann.model.hosts.host import Host
from reann.model.hosts.radial import CUTOFF_FUNCTIONS, Gaussians
from reann.model.neighborhood import Neighborhood

MOST = 1000
"""Angular functions."""


class SymmetryFunctionValues(NamedTuple):
    """Functions of all neighbors, and of all pairs of them."""

    atoms: Neighborhood
    radial: Float[Tensor, "atoms slots radial"]
    pair: Float[Tensor, "atoms pairs angular"]
    first: Tensor
    second: Tensor


class SymmetryFunctions(Host):
    """n_radial radial functions, and an angular one for each eta, zeta and sign of lambda."""

    shape: Tensor

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        generator: torch.Generator | None = None,  # noqa: ARG002 - nothing here is random
        *,
        eta: Sequence[float] = (0.01, 0.06),
        zeta: Sequence[float] = (1.0, 4.0),
    ) -> None:
        """Create the host; `eta` in Å^-2. Without `zeta`, all functions are radial."""
        super().__init__()
        self.cutoff, self.n_radial = config.cutoff, config.n_radial
        self.cutoff_function = CUTOFF_FUNCTIONS[config.cutoff_function]
        self.radial = Gaussians(
            n_elements, config.n_radial, config.cutoff, per_pair=False, free=False
        )
        if any(z not in (1.0, 2.0) and z < 3.0 for z in zeta):  # of force loss and Hessian
            raise ValueError(f"zeta {zeta} is not smooth: take 1, 2, or 3 and more")
        if len(eta) * len(zeta) > MOST:
            raise ValueError(f"{len(eta)} eta and {len(zeta)} zeta are too many")
        self.zeta = [float(z) for _, z, _ in product(eta, zeta, (1, -1))]
        shapes = [(e, sign) for e, _, sign in product(eta, zeta, (1.0, -1.0))]
        shape = torch.tensor(shapes, dtype=torch.float64).view(-1, 2)
        self.register_buffer("shape", shape, persistent=False)
        self.width = self.n_weights = config.n_radial + len(shape)

    def prepare(self, atoms: Neighborhood) -> SymmetryFunctionValues:
        """Return the contributions of neighbors and pairs of neighbors with a weight of one."""
        r2 = atoms.vector.square().sum(-1)
        r = r2.sqrt()
        fc = self.cutoff_function(r, self.cutoff)
        radial = self.radial(r, atoms.element, atoms.element[atoms.neighbor]) * fc[..., None]
        eta, sign = self.shape.to(r.dtype).unbind(1)
        slots = r.shape[1] if len(eta) else 0
        j, k = torch.triu_indices(slots, slots, 1, device=r.device)
        r2_jk = (atoms.vector[:, k] - atoms.vector[:, j]).square().sum(-1)
        # Two empty slots coincide; the root of zero has no derivative.
        r_jk = torch.where(r2_jk > 0, r2_jk, 1.0).sqrt()
        cos = (atoms.vector[:, j] * atoms.vector[:, k]).sum(-1) / (r[:, j] * r[:, k])
        inside = fc[:, j] * fc[:, k] * self.cutoff_function(r_jk, self.cutoff)
        near = torch.exp(-eta * (r2[:, j] + r2[:, k] + r2_jk)[..., None])
        half = (0.5 + 0.5 * sign * cos[..., None]).clamp(min=0.0)
        # The exponents are numbers: with tensors, derivatives of powers are not finite at zero.
        powers = [half[..., m].pow(z) for m, z in enumerate(self.zeta)]
        angle = 2.0 * torch.stack(powers, dim=-1) if powers else half
        return SymmetryFunctionValues(atoms, radial, angle * near * inside[..., None], j, k)

    def forward(
        self, values: SymmetryFunctionValues, weights: Float[Tensor, "atoms weights"]
    ) -> Float[Tensor, "atoms features"]:
        """Return radial, then angular functions."""
        w = values.atoms.of_neighbors(weights)
        pairs = w[:, values.first, self.n_radial :] * w[:, values.second, self.n_radial :]
        radial = (w[..., : self.n_radial] * values.radial).sum(1)
        return torch.cat([radial, (pairs * values.pair).sum(1)], dim=1)
