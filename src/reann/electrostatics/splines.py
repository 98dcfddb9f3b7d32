"""Cardinal B-splines M of an order n: weights of mesh points, nonzero at 0 < x < n."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor


def splines_at(
    place: Float[Tensor, "atoms 3"], sizes: list[int], order: int
) -> tuple[
    Float[Tensor, "atoms 3 order"], Float[Tensor, "atoms 3 order"], Int[Tensor, "atoms x y z"]
]:
    """Return M(w + j), its derivative, and the mesh points that they belong to."""
    first = place.floor()
    powers = torch.linalg.vander(place - first, N=order)
    of_powers = _polynomials(order).to(place)
    values = powers @ of_powers
    slopes = powers[..., :-1] @ (of_powers[1:] * torch.arange(1, order).to(place)[:, None])
    size = torch.tensor(sizes, device=place.device)
    points = (first.long()[..., None] - torch.arange(order, device=place.device)) % size[:, None]
    x, y, z = points.to(torch.int32).unbind(1)
    plane = x[:, :, None] * sizes[1] + y[:, None]
    return values, slopes, plane[..., None] * sizes[2] + z[:, None, None]


@lru_cache
def _polynomials(order: int) -> Float[Tensor, "powers order"]:
    """Return the coefficients of M(w + j), 0 <= w < 1, in powers of w.

    (n - 1) M_n(x) = x M_(n-1)(x) + (n - x) M_(n-1)(x - 1).
    """
    M = torch.zeros(order, order, dtype=torch.float64)
    M[0, 0] = 1.0
    for n in range(2, order + 1):
        at = torch.arange(order).to(M)  # x at w = 0
        before = M.roll(1, dims=1)  # M(x - 1); its last column is zero below the highest order
        sums = at * M + (n - at) * before
        sums[1:] += (M - before)[:-1]
        M = sums / (n - 1)
    return M


def factors_of(n: int, order: int) -> Float[Tensor, " n"]:
    """Return |b(m)|^2, the factors that convert splines to exponentials."""
    at_points = torch.ones(1, dtype=torch.float64)  # M at 1, 2, ...
    for degree in range(3, order + 1):
        x = torch.arange(1, degree).to(at_points)
        zero = torch.zeros(1).to(at_points)
        left, right = torch.cat([at_points, zero]), torch.cat([zero, at_points])
        at_points = (x * left + (degree - x) * right) / (degree - 1)
    turn = 2.0 * math.pi / n * torch.arange(n, dtype=torch.float64)
    phase = turn[:, None] * torch.arange(order - 1, dtype=torch.float64)
    real, imaginary = phase.cos() @ at_points, phase.sin() @ at_points
    return 1.0 / (real.square() + imaginary.square())
