"""Radial functions: Gaussians of the neighbor's element times a cutoff function.

R_k(r) = exp(-alpha_k (r - rs_k)^2) fc(r), EANN (J. Phys. Chem. Lett. 10, 4962, 2019), eq. 1-3.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

FIRST, LAST = 0.6, 0.6
"""Initial distance of the outermost Gaussians from zero and from the cutoff, Å."""
WIDTH = 0.6
"""Initial standard deviation of a Gaussian, Å, or the spacing of the grid if that is larger.

Many narrow Gaussians have a higher resolution but generalize worse.
"""


def squared_cosine(r: Tensor, cutoff: float) -> Tensor:
    """Return ((1 + cos(pi r / rc)) / 2)^2, zero beyond; derivatives 1 to 3 vanish at the cutoff."""
    inside = r.clamp(max=cutoff)
    return (0.5 + 0.5 * torch.cos(inside * (math.pi / cutoff))).square()


def polynomial(r: Tensor, cutoff: float) -> Tensor:
    """Return 1 - 28 x^6 + 48 x^7 - 21 x^8, x = r / rc, zero beyond; derivatives 1 and 2 vanish."""
    x = (r / cutoff).clamp(max=1.0)
    return 1.0 - x.pow(6) * (28.0 - x * (48.0 - 21.0 * x))


CUTOFF_FUNCTIONS = {"squared_cosine": squared_cosine, "polynomial": polynomial}


def grid_of(n_radial: int, cutoff: float) -> tuple[float, float, float]:
    """Return centers of the first and the last Gaussian in Å, and alpha of all in Å^-2."""
    first, last = min(FIRST, 0.2 * cutoff), cutoff - min(LAST, 0.2 * cutoff)
    spacing = (last - first) / (n_radial - 1) if n_radial > 1 else 0.5 * cutoff
    return first, last, 0.5 / max(WIDTH, spacing) ** 2


class Gaussians(nn.Module):
    """Trainable Gaussians per neighbor element, or per pair of center and neighbor element.

    Attributes
    ----------
    center
        rs, (elements or elements^2, n_radial), Å.
    width
        Raw alpha in Å^-2: softplus(width) is alpha, or with `free` the number itself.
    """

    def __init__(
        self, n_elements: int, n_radial: int, cutoff: float, *, per_pair: bool, free: bool
    ) -> None:
        super().__init__()
        self.n_elements, self.per_pair, self.free = n_elements, per_pair, free
        rows = n_elements**2 if per_pair else n_elements
        first, last, start = grid_of(n_radial, cutoff)
        grid, alpha = torch.linspace(first, last, n_radial), torch.full((rows, n_radial), start)
        self.center = nn.Parameter(grid.repeat(rows, 1))
        self.width = nn.Parameter(alpha if free else alpha + torch.log(-torch.expm1(-alpha)))

    def forward(
        self,
        r: Float[Tensor, "atoms slots"],
        center: Int[Tensor, " atoms"],
        neighbor: Int[Tensor, "atoms slots"],
    ) -> Float[Tensor, "atoms slots radial"]:
        """Return the Gaussians at distances in Å for the elements of center and neighbor."""
        row = neighbor + center[:, None] * self.n_elements if self.per_pair else neighbor
        alpha = self.width if self.free else functional.softplus(self.width)
        table = torch.cat([alpha, self.center], dim=1)
        each = table.index_select(0, row.reshape(-1)).view(*row.shape, table.shape[1])
        alpha_ij, rs_ij = each.chunk(2, dim=-1)
        return torch.exp(-alpha_ij * (r[..., None] - rs_ij).square())
