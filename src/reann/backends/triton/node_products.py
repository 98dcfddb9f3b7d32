"""Products of the moments of an atom, and their weighted sums, channel by channel as formulas.

The products are those of the table in `reann.model.products`, after the limit of the moments
(`reann.model.equivariant.layer`).
"""

from __future__ import annotations

from typing import NamedTuple

from reann.backends.triton.symbols import Formulas, Value, total
from reann.model.equivariant.basis import COMPONENTS
from reann.model.product_terms import contract, weighted
from reann.model.products import MOMENTS, entries, intermediates, table

ENTRIES = (1.0, 3.0, 3.0, 3.0, 6.0, 3.0, 1.0, 3.0, 3.0, 1.0)
"""Multiplicity of each component of a tensor of rank three among its 27 entries."""


class ChannelFunction(NamedTuple):
    """A function of the numbers of one channel of an atom.

    Attributes
    ----------
    moments
        Inputs m_0, m_1 ..: the components by l.
    weights
        Inputs w_0, w_1 ..: those of vectors, then those of matrices; none without weighted sums.
    scalars, tensors
        Results: the scalar products, and the components of the weighted sums by l.
    """

    formulas: Formulas
    moments: list[Value]
    weights: list[Value]
    scalars: list[Value]
    tensors: list[Value]


def products(l_max: int, limit: float | None, *, tensors: bool) -> ChannelFunction:
    """Return the products of moments up to l_max."""
    formulas = Formulas()
    moments = [formulas.input(f"m_{i}") for i in range(sum(COMPONENTS[: l_max + 1]))]
    by_l = [moments[sum(COMPONENTS[:l]) :][: COMPONENTS[l]] for l in range(l_max + 1)]
    if limit is not None:
        by_l = limited(by_l, limit)
    values = {MOMENTS[l]: entries(l, m) for l, m in enumerate(by_l)}
    for name, terms in intermediates(l_max).items():
        sums = [contract(term, values, total) for term in terms]
        values[name] = {i: total(each[i] for each in sums) for i in sums[0]}
    scalars, *ranks = table(l_max)
    b = [contract(p, values, total)[()] for p in scalars]
    weights: list[Value] = []
    results: list[Value] = []
    for products_of_rank in ranks[: 2 if tensors else 0]:
        first = len(weights)
        of_rank = [formulas.input(f"w_{first + p}") for p in range(len(products_of_rank))]
        weights += of_rank
        results += weighted(products_of_rank, of_rank, values, total)
    return ChannelFunction(formulas, moments, weights, b, results)


def limited(by_l: list[list[Value]], limit: float) -> list[list[Value]]:
    """Return moments divided by sqrt(1 + N / limit^2)."""
    means = []
    for l, m in enumerate(by_l):
        often = ENTRIES if l == 3 else (1.0,) * len(m)
        squares = [x * x * n for x, n in zip(m, often, strict=True)]
        means.append(total(squares) * (1.0 / sum(often)))
    N = total(means) * (1.0 / len(by_l))
    f = (N * limit**-2 + 1.0).apply("rsqrt")
    return [[f * x for x in m] for m in by_l]
