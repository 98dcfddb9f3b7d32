"""Radial basis and angular functions of the equivariant recursion; none of them is trained."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor

from reann.model.hosts.radial import grid_of
from reann.model.products import five


def bessel(
    r: Float[Tensor, "atoms slots"], cutoff: float, n_radial: int
) -> Float[Tensor, "atoms slots radial"]:
    """Return sin(n pi x) / (n x), x = r / rc, n = 1 .. n_radial; 1/n prefers smooth functions."""
    n = torch.arange(1, n_radial + 1, device=r.device).to(r.dtype)
    nx = n * (r / cutoff)[..., None]
    return torch.sin(math.pi * nx) / nx


def gaussian(
    r: Float[Tensor, "atoms slots"], cutoff: float, n_radial: int
) -> Float[Tensor, "atoms slots radial"]:
    """Return exp(-alpha (r - rs_n)^2) on the grid of the initial trainable Gaussians."""
    first, last, alpha = grid_of(n_radial, cutoff)
    rs = torch.linspace(first, last, n_radial, dtype=torch.float64, device=r.device).to(r.dtype)
    return torch.exp(-alpha * (r[..., None] - rs).square())


COMPONENTS = (1, 3, 5, 10)
"""Number of components of Y_l and of moments, by l."""
RADIAL_BASES = {"bessel": bessel, "gaussian": gaussian}


def angular(
    u: Float[Tensor, "atoms slots 3"], l_max: int
) -> list[Float[Tensor, "atoms components slots"]]:
    """Return Y_l of unit vectors, l = 0 .. l_max <= 3.

    Y_0 = 1, Y_1 = sqrt(3) u, Y_2 = sqrt(7.5) (uu - 1/3) in five components, Y_3 = sqrt(7) uuu in
    ten, with its trace. The squares of the components of one l <= 2 add up to 2 l + 1.
    """
    x, y, z = u.unbind(-1)
    Y = [torch.ones_like(x)[:, None], math.sqrt(3.0) * torch.stack([x, y, z], dim=1)]
    if l_max >= 2:
        uu = {(a, b): u[..., a] * u[..., b] for a in range(3) for b in range(3)}
        Y.append(math.sqrt(7.5) * torch.stack(five(uu), dim=1))
    if l_max >= 3:
        uuu = [a * b * c for a, b, c in combinations_with_replacement((x, y, z), 3)]
        Y.append(math.sqrt(7.0) * torch.stack(uuu, dim=1))
    return Y


def solid(F: Float[Tensor, "atoms 3"], l_max: int) -> list[Float[Tensor, "atoms components"]]:
    """Return |F|^2, |F| Y_1(F) and |F|^2 Y_2(F) up to l_max <= 2, polynomials in F."""
    squares = {(a, b): F[:, a] * F[:, b] for a in range(3) for b in range(3)}
    Y = [F.square().sum(1, keepdim=True), math.sqrt(3.0) * F]
    if l_max >= 2:
        Y.append(math.sqrt(7.5) * torch.stack(five(squares), dim=1))
    return Y
