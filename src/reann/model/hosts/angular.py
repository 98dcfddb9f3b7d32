"""Angular functions: symmetric Cartesian components with multinomial weights.

For each l the (l+1)(l+2)/2 distinct monomials x^lx y^ly z^lz, each times the square root of
l!/(lx! ly! lz!), so that the product of two sets is a power of a scalar product:
sum_a Y_a(r) Y_a(r') = (r . r')^l (EANN, J. Phys. Chem. Lett. 10, 4962, 2019, eq. 4). The original
package sums over all 3^l ordered products instead, with the same result.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def exponents(l: int) -> list[tuple[int, int, int]]:
    """Return (lx, ly, lz) of the components of one l, in the order x first."""
    return [(lx, ly, l - lx - ly) for lx in range(l, -1, -1) for ly in range(l - lx, -1, -1)]


def components(l_max: int) -> list[slice]:
    """Return the range of components that belongs to each l."""
    sizes = [len(exponents(l)) for l in range(l_max + 1)]
    return [slice(sum(sizes[:l]), sum(sizes[: l + 1])) for l in range(l_max + 1)]


def angular(
    vector: Float[Tensor, "atoms slots 3"], l_max: int
) -> Float[Tensor, "atoms components slots"]:
    """Return Y_a of unit or raw vectors for l = 0 .. l_max."""
    x, y, z = vector.unbind(-1)
    monomials = {(0, 0, 0): torch.ones_like(x)}
    for l in range(1, l_max + 1):
        for lx, ly, lz in exponents(l):
            if lx:
                monomials[lx, ly, lz] = monomials[lx - 1, ly, lz] * x
            elif ly:
                monomials[lx, ly, lz] = monomials[lx, ly - 1, lz] * y
            else:
                monomials[lx, ly, lz] = monomials[lx, ly, lz - 1] * z
    return torch.stack(
        [
            monomials[powers] * math.sqrt(multinomial(powers))
            if multinomial(powers) > 1
            else monomials[powers]
            for l in range(l_max + 1)
            for powers in exponents(l)
        ],
        dim=1,
    )


def multinomial(powers: tuple[int, int, int]) -> int:
    """Return in how many orders the factors of a monomial can stand."""
    return math.factorial(sum(powers)) // math.prod(math.factorial(p) for p in powers)
