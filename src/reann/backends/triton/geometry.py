"""Vectors, distances, angular functions and cutoffs of an edge as formulas.

The formulas repeat those of the reference: `reann.model.repulsion`, `reann.model.hosts.radial` and
`reann.model.equivariant.basis`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import NamedTuple

from reann.backends.triton.symbols import Formulas, Value
from reann.facts import REPULSION_WIDTH
from reann.model.hosts.radial import grid_of
from reann.model.products import five

AXES = ("x", "y", "z")
START = "start"
"""Name of the input for the distance below which a pair is softened, Å."""


class Vector(NamedTuple):
    """A vector from center to neighbor in the precision of the model."""

    r: Value
    direction: list[Value]


def vector_of(formulas: Formulas) -> list[Value]:
    """Return the inputs x, y, z of an edge in double precision."""
    return [formulas.input(axis, channels=False, double=True) for axis in AXES]


def length(vector: list[Value]) -> Value:
    """Return the length of a vector."""
    x, y, z = vector
    return (x * x + y * y + z * z).apply("sqrt")


def softened(formulas: Formulas, vector: list[Value]) -> list[Value]:
    """Return the vector of a close pair that the network receives: `Repulsion.softened`."""
    start = formulas.input(START, channels=False, double=True)
    r, width = length(vector), start * REPULSION_WIDTH
    unity = formulas.constant(1.0, r)
    u = (start - r) / width
    u = u.where(u.less(unity), unity)
    network_r = start - width * u * (1.0 - u * u * u * (2.5 - u * (3.0 - u)))
    factor = (network_r / r).where(r.less(start), unity)
    return [x * factor for x in vector]


def network_vector(formulas: Formulas, *, soft: bool) -> Vector:
    """Return the vector of an edge that a network receives."""
    vector = vector_of(formulas)
    if soft:
        vector = softened(formulas, vector)
    vector = [x.to_double(False) for x in vector]
    r = length(vector)
    inverse = r.apply("reciprocal")
    return Vector(r, [x * inverse for x in vector])


# --- functions of the distance ----------------------------------------------------------------


def squared_cosine(r: Value, cutoff: float) -> Value:
    """Return ((1 + cos(pi r / rc)) / 2)^2, zero beyond."""
    end = r.formulas.constant(cutoff, r)
    inside = r.where(r.less(end), end)
    half = (inside * (math.pi / cutoff)).apply("cos") * 0.5 + 0.5
    return half * half


def polynomial(r: Value, cutoff: float) -> Value:
    """Return 1 - 28 x^6 + 48 x^7 - 21 x^8, x = r / rc, zero beyond."""
    x = r * (1.0 / cutoff)
    unity = r.formulas.constant(1.0, r)
    x = x.where(x.less(unity), unity)
    cube = x * x * x
    return 1.0 - cube * cube * (28.0 - x * (48.0 - x * 21.0))


CUTOFFS: dict[str, Callable[[Value, float], Value]] = {
    "squared_cosine": squared_cosine,
    "polynomial": polynomial,
}


def bessel(r: Value, cutoff: float, n_radial: int) -> list[Value]:
    """Return sin(n pi x) / (n x), x = r / rc, with sines from those of smaller n."""
    x = r * (math.pi / cutoff)
    sine, twice = x.apply("sin"), x.apply("cos") * 2.0
    sines = [sine, sine * twice]
    for _ in range(2, n_radial):
        sines.append(sines[-1] * twice - sines[-2])
    inverse = (r * (1.0 / cutoff)).apply("reciprocal")
    return [s * inverse * (1.0 / n) for n, s in enumerate(sines[:n_radial], 1)]


def gaussian(r: Value, cutoff: float, n_radial: int) -> list[Value]:
    """Return exp(-alpha (r - rs_n)^2)."""
    first, last, alpha = grid_of(n_radial, cutoff)
    step = (last - first) / max(n_radial - 1, 1)
    distances = [r - (first + n * step) for n in range(n_radial)]
    return [(d * d * -alpha).apply("exp") for d in distances]


BASES: dict[str, Callable[[Value, float, int], list[Value]]] = {
    "bessel": bessel,
    "gaussian": gaussian,
}

# --- functions of the direction ---------------------------------------------------------------


def angular(direction: list[Value], l_max: int) -> list[list[Value]]:
    """Return Y_l by l; that of l = 0, which is one, is left out."""
    x, y, z = direction
    Y = [[], [u * math.sqrt(3.0) for u in (x, y, z)]]
    if l_max >= 2:
        uu = {(a, b): direction[a] * direction[b] for a in range(3) for b in range(3)}
        Y.append([q * math.sqrt(7.5) for q in five(uu)])
    if l_max >= 3:
        uuu = [a * b * c for a, b, c in combinations_with_replacement((x, y, z), 3)]
        Y.append([q * math.sqrt(7.0) for q in uuu])
    return Y
