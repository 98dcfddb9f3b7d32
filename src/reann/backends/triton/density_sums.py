"""Moments of the embedded density, edge by edge.

s_i^{a,k} = sum_j R_k(r_ij) [c_j^k Y_a(r_ij) + u_j^{a,k}]; see `reann.model.hosts.embedded_density`
and `reann.model.messages`. Rows of the states of a neighbor are c, the u if there are any, then
alpha and rs of the Gaussians of its element.
"""

from __future__ import annotations

import math

from reann.backends.triton.edge_function import EdgeFunction
from reann.backends.triton.geometry import CUTOFFS, seen
from reann.backends.triton.symbols import Formulas, Value
from reann.model.hosts.angular import exponents, multinomial


def monomials(vector: list[Value], l_max: int) -> list[Value]:
    """Return Y_a for l = 1 .. l_max."""
    powers: dict[tuple[int, int, int], Value] = {}
    found = []
    for l in range(1, l_max + 1):
        for own in exponents(l):
            axis = next(a for a in range(3) if own[a])
            x, y, z = (n - (a == axis) for a, n in enumerate(own))
            rest = powers.get((x, y, z))
            powers[own] = vector[axis] if rest is None else rest * vector[axis]
            found.append(powers[own] * math.sqrt(multinomial(own)))
    return found


def sums(
    cutoff_function: str,
    cutoff: float,
    l_max: int,
    *,
    unit: bool,
    directional: bool,
    soft: bool,
) -> EdgeFunction:
    """Return the moments of l = 0 .. l_max."""
    formulas = Formulas()
    r, direction = seen(formulas, soft=soft)
    vector = direction if unit else [x * r for x in direction]
    Y = monomials(vector, l_max)
    n_moving = 1 + (len(Y) if directional else 0)
    states = [formulas.input(f"h_{i}") for i in range(n_moving + 2)]
    c, *u = states[:n_moving]
    alpha, center = states[n_moving:]
    distance = r - center
    gaussian = (alpha * distance * distance * -1.0).apply("exp")
    R = gaussian * CUTOFFS[cutoff_function](r, cutoff)
    weighted = R * c
    results = [weighted, *(weighted * y for y in Y)]
    if directional:
        results = [results[0], *(s + R * u_a for s, u_a in zip(results[1:], u, strict=True))]
    return EdgeFunction(formulas, states, results, range(n_moving))
