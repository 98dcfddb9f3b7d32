"""Products of moments per channel: scalars, vectors and matrices, from one table.

The moments of an atom are a scalar s, a vector v, a traceless symmetric matrix A with five
components and a symmetric tensor Q of rank three with ten. Equivariant products of up to four of
them are declared here once: PyTorch evaluates the table, and `tools/write_products.py` generates
the C++ code of the engine from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import combinations, combinations_with_replacement, product
from operator import mul
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Contraction(NamedTuple):
    """Names of factors, their indices as in einsum, and a divisor of the result."""

    factors: tuple[str, ...]
    indices: str
    divisor: float = 1.0


MOMENTS = ("s", "v", "A", "Q")
"""Names of the moments, by rank."""

INTERMEDIATES = {
    "v.v": (Contraction(("v", "v"), "a,a->", 3),),
    "A:A": (Contraction(("A", "A"), "ab,ab->", 5),),
    "squares": (Contraction(("v.v",), "->"), Contraction(("A:A",), "->")),
    "Av": (Contraction(("A", "v"), "ab,b->a"),),
    "AA": (Contraction(("A", "A"), "ab,bc->ac"),),
    "AAv": (Contraction(("A", "Av"), "ab,b->a"),),
    "QA": (Contraction(("Q", "A"), "abc,bc->a"),),
    "vv": (Contraction(("v", "v"), "a,b->ab"),),
    "Qv": (Contraction(("Q", "v"), "abc,c->ab"),),
}
"""Sums of contractions of moments and of preceding intermediates."""

PRODUCTS = (
    (
        Contraction(("s",), "->"),
        Contraction(("s", "s"), ",->"),
        Contraction(("v.v",), "->"),
        Contraction(("A:A",), "->"),
        Contraction(("s", "s", "s"), ",,->", 2),
        Contraction(("s", "v.v"), ",->"),
        Contraction(("s", "A:A"), ",->"),
        Contraction(("v", "Av"), "a,a->", 3),
        Contraction(("A", "AA"), "ab,ab->", 3),
        Contraction(("Av", "Av"), "a,a->", 3),
        Contraction(("Q", "Q"), "abc,abc->", 7),
        Contraction(("A", "Qv"), "ab,ab->", 3),
        Contraction(("Qv", "vv"), "ab,ab->", 3),
    ),
    (
        Contraction(("v",), "a->a"),
        Contraction(("s", "v"), ",a->a"),
        Contraction(("Av",), "a->a"),
        Contraction(("s", "s", "v"), ",,a->a"),
        Contraction(("v.v", "v"), ",a->a"),
        Contraction(("A:A", "v"), ",a->a"),
        Contraction(("s", "Av"), ",a->a"),
        Contraction(("AAv",), "a->a"),
        Contraction(("QA",), "a->a"),
        Contraction(("s", "QA"), ",a->a"),
    ),
    (
        Contraction(("A",), "ab->ab"),
        Contraction(("s", "A"), ",ab->ab"),
        Contraction(("v", "v"), "a,b->ab"),
        Contraction(("AA",), "ab->ab"),
        Contraction(("s", "s", "A"), ",,ab->ab"),
        Contraction(("s", "v", "v"), ",a,b->ab"),
        Contraction(("s", "AA"), ",ab->ab"),
        Contraction(("v", "Av"), "a,b->ab"),
        Contraction(("squares", "A"), ",ab->ab"),
        Contraction(("Qv",), "ab->ab"),
        Contraction(("s", "Qv"), ",ab->ab"),
    ),
)
"""Products by rank of the result; of matrices the traceless symmetric part is used."""


# --- the part of the table that an l_max has --------------------------------------------------


def intermediates(l_max: int) -> dict[str, tuple[Contraction, ...]]:
    """Return the intermediates of moments up to l_max."""
    known: set[str] = set(MOMENTS[: l_max + 1])
    names = {}
    for name, terms in INTERMEDIATES.items():
        if known.issuperset(factor for term in terms for factor in term.factors):
            known.add(name)
            names[name] = terms
    return names


def table(l_max: int) -> list[list[Contraction]]:
    """Return the products of moments up to l_max, by rank."""
    known = {*MOMENTS[: l_max + 1], *intermediates(l_max)}
    return [[p for p in ps if known.issuperset(p.factors)] for ps in PRODUCTS[: l_max + 1]]


def counts(l_max: int) -> tuple[int, int, int]:
    """Return the numbers of products that are scalars, vectors and matrices."""
    scalars, vectors, *matrices = map(len, table(l_max))
    return scalars, vectors, sum(matrices)


# --- components of tensors --------------------------------------------------------------------


def entries(rank: int, components: Sequence[Any]) -> dict[tuple[int, ...], Any]:
    """Return the numbers of a moment by their Cartesian indices.

    Parameters
    ----------
    components
        1, 3, 5 or 10 numbers or arrays.
    """
    if rank == 2:
        xy, xz, yz = (q * math.sqrt(1 / 2) for q in components[:3])
        half, sixth = components[3] * math.sqrt(1 / 2), components[4] * math.sqrt(1 / 6)
        xx, yy = half - sixth, (half + sixth) * -1.0
        components = (xx, xy, xz, yy, yz, (xx + yy) * -1.0)
    distinct = dict(zip(combinations_with_replacement(range(3), rank), components, strict=True))
    return {i: distinct[tuple(sorted(i))] for i in product(range(3), repeat=rank)}


def five(matrix: Mapping[tuple[int, ...], Any]) -> list[Any]:
    """Return the five components of the traceless symmetric part."""
    off_diagonal = [
        (matrix[i, j] + matrix[j, i]) * math.sqrt(1 / 2) for i, j in combinations(range(3), 2)
    ]
    xx, yy, zz = (matrix[i, i] for i in range(3))
    return [*off_diagonal, (xx - yy) * math.sqrt(1 / 2), (zz * 2.0 - (xx + yy)) * math.sqrt(1 / 6)]


# --- PyTorch ----------------------------------------------------------------------------------


def products(
    moments: Sequence[Float[Tensor, "atoms _ channels"]], highest: int = 2
) -> list[Tensor]:
    """Return all products, by the rank of the result.

    Parameters
    ----------
    moments
        By l = 0 .. l_max, with 1, 3, 5 and 10 components.
    highest
        Highest rank of the products.

    Returns
    -------
    list of tensors
        Scalars (atoms, n0, channels), vectors (atoms, n1, 3, channels) and with l_max > 1 matrices
        (atoms, n2, 5, channels).
    """
    l_max = len(moments) - 1
    values: dict[str, Tensor] = {}
    for rank, moment in enumerate(moments):
        numbers = list(entries(rank, moment.unbind(1)).values())
        values[MOMENTS[rank]] = torch.stack(numbers, 1).unflatten(1, (3,) * rank or (1,))
    values["s"] = values["s"].squeeze(1)
    for name, terms in intermediates(l_max).items():
        values[name] = torch.stack([_contract(term, values) for term in terms]).sum(0)
    needed = table(l_max)[: highest + 1]
    results = [torch.stack([_contract(p, values) for p in ps], 1) for ps in needed]
    if len(results) > 2:
        matrices = {(i, j): results[2][:, :, i, j] for i in range(3) for j in range(3)}
        results[2] = torch.stack(five(matrices), 2)
    return results


def _contract(contraction: Contraction, values: Mapping[str, Tensor]) -> Tensor:
    """Return (atoms, indices of the result, channels) from the same layout of the factors.

    Multiplied and summed, because `torch.einsum` takes four times as long for matrices this small.
    """
    inputs, result = contraction.indices.split("->")
    summed = "".join(sorted(set(inputs) - {*result, ","}))
    order = result + summed
    factors = []
    for name, indices in zip(contraction.factors, inputs.split(","), strict=True):
        axes = [indices.index(i) + 1 for i in order if i in indices]
        shape = [3 if i in indices else 1 for i in order]
        factor = values[name].permute(0, *axes, -1)
        # Not len(factor): a recorded model would keep the number of atoms.
        factors.append(factor.reshape(factor.shape[0], *shape, factor.shape[-1]))
    total = reduce(mul, factors)
    if summed:
        total = total.sum([*range(1 + len(result), 1 + len(order))])
    return total if contraction.divisor == 1 else total / contraction.divisor
