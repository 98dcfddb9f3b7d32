"""Moments of the embedded density, edge by edge.

s_i^{a,k} = sum_j R_k(r_ij) [c_j^k Y_a(r_ij) + u_j^{a,k}] with directional messages, and
s_i^{a,k} = sum_j [c_j^k R_k(r_ij) Y_a(r_ij) + f_c(r_ij) u_j^{a,k}], u = c P, if orbitals P are
passed on; see `reann.model.hosts.embedded_density` and `reann.model.messages`. The rows of the
states of a neighbor are c, then u if messages contain it, then alpha and rs of the Gaussians of its
element, or of its pairs with each element of a center.
"""

from __future__ import annotations

import math

from reann.backends.triton.edge_function import EdgeFunction
from reann.backends.triton.geometry import CUTOFFS, network_vector
from reann.backends.triton.symbols import Formulas, Value
from reann.model.hosts.angular import exponents, multinomial

PASSED_ON = ("weights", "moments", "orbitals")
"""Messages of neighbors: weights, and with them moments (directional) or orbitals."""


def n_passed_on(passed_on: str, n_moments: int) -> int:
    """Return how many rows neighbors pass on, from the number of moments."""
    return {"weights": 1, "moments": n_moments, "orbitals": 1 + n_moments}[passed_on]


def monomials(vector: list[Value], l_max: int) -> list[Value]:
    """Return Y_a for l = 1 .. l_max."""
    powers: dict[tuple[int, int, int], Value] = {}
    functions = []
    for l in range(1, l_max + 1):
        for powers_of_axes in exponents(l):
            axis = next(a for a in range(3) if powers_of_axes[a])
            x, y, z = (n - (a == axis) for a, n in enumerate(powers_of_axes))
            rest = powers.get((x, y, z))
            powers[powers_of_axes] = vector[axis] if rest is None else rest * vector[axis]
            functions.append(powers[powers_of_axes] * math.sqrt(multinomial(powers_of_axes)))
    return functions


def sums(
    cutoff_function: str,
    cutoff: float,
    l_max: int,
    *,
    unit: bool,
    passed_on: str,
    per_pair: bool,
    soft: bool,
) -> EdgeFunction:
    """Return the moments of l = 0 .. l_max.

    `passed_on` names what neighbors pass on beside their weights: one of `PASSED_ON`. `per_pair`
    says whether Gaussians depend on the element of the center, too.
    """
    formulas = Formulas()
    r, direction = network_vector(formulas, soft=soft)
    vector = direction if unit else [x * r for x in direction]
    Y = monomials(vector, l_max)
    n_moving = n_passed_on(passed_on, 1 + len(Y))
    states = [formulas.input(f"h_{i}") for i in range(n_moving + 2)]
    c, *u = states[:n_moving]
    alpha, center = states[n_moving:]
    distance = r - center
    gaussian = (alpha * distance * distance * -1.0).apply("exp")
    inside = CUTOFFS[cutoff_function](r, cutoff)
    R = gaussian * inside
    weighted = R * c
    results = [weighted, *(weighted * y for y in Y)]
    if passed_on == "moments":
        results = [results[0], *(s + R * u_a for s, u_a in zip(results[1:], u, strict=True))]
    elif passed_on == "orbitals":
        results = [s + inside * u_a for s, u_a in zip(results, u, strict=True)]
    chosen = range(n_moving, len(states)) if per_pair else range(0)
    return EdgeFunction(formulas, states, results, range(n_moving), chosen)
