"""Sums over the neighbors of a layer of the equivariant recursion, edge by edge.

See `reann.model.equivariant.layer` for the equations. Rows of the states of a neighbor are those of
h^0, h^1, h^2; rows of the results are those of s by l, then those of q.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from reann.backends.triton.derivatives import tangents
from reann.backends.triton.edge_function import EdgeFunction, radial
from reann.backends.triton.geometry import BASES, CUTOFFS, Vector, angular, network_vector
from reann.backends.triton.symbols import Formulas, Value, total
from reann.model.equivariant.basis import COMPONENTS


class Basis(NamedTuple):
    """Choices of a radial basis."""

    name: str
    cutoff_function: str
    cutoff: float
    n_radial: int


def radial_bases(vector: Vector, basis: Basis) -> list[list[Value]]:
    """Return the basis, and its first and second derivatives with respect to the distance."""
    r = vector.r
    inside = CUTOFFS[basis.cutoff_function](r, basis.cutoff)
    functions = [b * inside for b in BASES[basis.name](r, basis.cutoff, basis.n_radial)]
    orders, unity = [functions], r.formulas.constant(1.0, r)
    for _ in range(2):
        slopes = tangents(orders[-1], {r.number: unity})
        orders.append([x for x in slopes if x is not None])
    return orders


def sums(basis: Basis, l_max: int, n_states: int, *, soft: bool) -> EdgeFunction:
    """Return w_ij Y_l(u) by l, and R_{L+l} h_j^l by l >= 1, for states with l < n_states."""
    formulas, L = Formulas(), n_states - 1
    vector = network_vector(formulas, soft=soft)
    n_paths = 1 + 2 * L
    R = [radial(vector.r, path) for path in range(n_paths)]
    rows = [f"h_{i}" for i in range(sum(COMPONENTS[:n_states]))]
    states = [formulas.input(name) for name in rows]
    Y = angular(vector.direction, l_max)
    h0, h = states[0], [states[1:4], states[4:9]][:L]

    w = R[0] * h0
    for l, h_l in enumerate(h, 1):
        seen_from = total(y * x for y, x in zip(Y[l], h_l, strict=True))
        w = w + R[l] * seen_from * (1.0 / math.sqrt(2 * l + 1))
    s = [w, *(w * y for Y_l in Y for y in Y_l)]
    q = [R[L + l] * x for l, h_l in enumerate(h, 1) for x in h_l]
    moving, bases = range(len(states) if L else 0), radial_bases(vector, basis)
    return EdgeFunction(
        formulas, states, [*s, *q], moving, bases=bases, distance=vector.r, n_paths=n_paths
    )
