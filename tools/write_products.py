"""Write `src/reann/core/kernels/products.hpp` from the table of `reann/model/products.py`.

The table is evaluated with symbols in place of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from itertools import product
from pathlib import Path
from textwrap import fill, indent

from symbols import Code, Record, Value, adjoints, total

from reann.model import products as table
from reann.model.product_terms import contract, weighted

LAYOUT = """\
// Products of moments, channel by channel, their weighted sums, and the adjoint. Written by
// `make products` from reann/model/products.py: change them there.
//
//     v = sum_p vector_weights_p b1_p        A = sum_p matrix_weights_p b2_p
//
// m[l]: rows of the components of moment l, each (planes, stride). b: the products b0 that are
// scalars, (products, stride), those of each order of derivatives `width` numbers further on. v, A:
// rows of the components; without `tensors` left out.
// The weights, (products, stride), have no derivatives.
#pragma once

#include "lanes.hpp"

namespace reann {
namespace {

// How many products are scalars, vectors and matrices.
template <int l_max> struct ProductCounts;
COUNTS
template <class F, int l_max, bool tensors>
void products(const typename F::Real *const *m, int stride, int64_t width,
              const typename F::Real *vector_weights, const typename F::Real *matrix_weights,
              typename F::Real *b, typename F::Real *v, typename F::Real *A) {
    using Real = typename F::Real;
    const int row = F::planes * stride;
    for (int k = 0; k < stride; k += lanes<Real>) {
        FORWARD
    }
}

template <class Real> REANN_INLINE void add_last_plane(Real *, Vector<Real>) {}
template <class Real> REANN_INLINE void add_last_plane(Real *sum, const Dual<Vector<Real>> &x) {
    store_vector(sum, load_vector(sum) + x.tangent);
}
template <class Real> REANN_INLINE void add_last_plane(Real *sum, const Jet<Vector<Real>> &x) {
    store_vector(sum, load_vector(sum) + x.second);
}

// Overwrites m_bar, laid out as m. With derivatives it also adds the highest ones of v_bar b1_p and
// A_bar b2_p, each summed over components, to the gradients of the weights.
template <class F, int l_max, bool tensors>
void adjoint_of_products(const typename F::Real *const *m, int stride, int64_t width,
                         const typename F::Real *vector_weights,
                         const typename F::Real *matrix_weights, const typename F::Real *b_bar,
                         const typename F::Real *v_bar, const typename F::Real *A_bar,
                         typename F::Real *const *m_bar, typename F::Real *vector_weights_bar,
                         typename F::Real *matrix_weights_bar) {
    using Real = typename F::Real;
    const int row = F::planes * stride;
    for (int k = 0; k < stride; k += lanes<Real>) {
        ADJOINT
    }
}

} // namespace
} // namespace reann
"""
HEADER = Path(table.__file__).parents[1] / "core" / "kernels" / "products.hpp"
SIZES = (1, 3, 5, 10)
"""Components of the moments, by rank."""
WEIGHTS = ("vector_weight", "matrix_weight")
L_MAX = (1, 2, 3)
WIDTH = 92
"""Columns of a statement."""

# --- the table with symbols -------------------------------------------------------------------


class Trace:
    """Products of moments up to l_max, as `load` reads their inputs.

    Attributes
    ----------
    moments, weights
        Inputs, those of moments by l and of weights by the rank of the products, vectors first.
    results, bars
        Scalars, and by rank the components of the weighted sums; their adjoints.
    """

    def __init__(self, l_max: int, tensors: bool) -> None:
        self.record = Record()
        moments = table.MOMENTS[: l_max + 1]
        self.moments = [self.components(name, f"m[{l}]", l) for l, name in enumerate(moments)]
        values = {name: table.entries(l, self.moments[l]) for l, name in enumerate(moments)}
        for name, terms in table.intermediates(l_max).items():
            sums = [contract(term, values, total) for term in terms]
            values[name] = {i: total(each[i] for each in sums) for i in sums[0]}
        scalars, *ranks = table.table(l_max)
        self.results = [[contract(p, values, total)[()] for p in scalars]]
        self.bars = [
            [
                self.load(f"b_bar_{p}", f"load<F>(b_bar + {p} * stride + k, width)")
                for p in range(len(scalars))
            ]
        ]
        self.weights: list[list[Value]] = []
        for kind, l, products in zip(WEIGHTS, (1, 2), ranks, strict=False) if tensors else ():
            weights = [
                self.load(f"{kind}_{p}", f"load_vector({kind}s + {p} * stride + k)", plain=True)
                for p in range(len(products))
            ]
            self.weights.append(weights)
            self.results.append(weighted(products, weights, values, total))
            self.bars.append(self.components(f"{moments[l]}_bar", f"{moments[l]}_bar", l))

    def components(self, name: str, pointer: str, rank: int) -> list[Value]:
        return [
            self.load(f"{name}_{i}", f"load<F>({pointer} + {i} * row + k, stride)")
            for i in range(SIZES[rank])
        ]

    def load(self, name: str, code: str, plain: bool = False) -> Value:
        return self.record.value(("load", name, code), plain)


# --- the header ---


def flat(lists: Iterable[Iterable[Value]]) -> list[Value]:
    return [value for values in lists for value in values]


def forward(l_max: int, tensors: bool) -> list[str]:
    """Return the statements of the products."""
    trace = Trace(l_max, tensors)
    scalars, *sums = trace.results
    code = Code(trace.record, flat(trace.results))
    for p, value in enumerate(scalars):
        code.store(f"b + {p} * stride + k, width", value)
    for name, values in zip("vA", sums, strict=False):
        for i, value in enumerate(values):
            code.store(f"{name} + {i} * row + k, stride", value)
    return code.lines


def adjoint(l_max: int, tensors: bool) -> list[str]:
    """Return the statements of the adjoint."""
    trace = Trace(l_max, tensors)
    bars = adjoints(flat(trace.results), flat(trace.bars))
    inputs = flat(trace.moments + trace.weights)
    code = Code(trace.record, [bars[value.node] for value in inputs])
    for l, moment in enumerate(trace.moments):
        for i, value in enumerate(moment):
            code.store(f"m_bar[{l}] + {i} * row + k, stride", bars[value.node])
    for kind, weights in zip(WEIGHTS, trace.weights, strict=False):
        for p, weight in enumerate(weights):
            text = code.text(bars[weight.node])
            code.lines.append(f"add_last_plane({kind}s_bar + {p} * stride + k, {text});")
    return code.lines


def counted(l_max: int) -> str:
    names = ("scalars", "vectors", "matrices")
    numbers = zip(names, table.counts(l_max), strict=True)
    values = ", ".join(f"{name} = {number}" for name, number in numbers)
    return (
        f"template <> struct ProductCounts<{l_max}> {{\n    static constexpr int {values};\n}};\n"
    )


def choices(body: Callable[[int, bool], list[str]]) -> str:
    """Return the statements of every l_max, with and without sums."""
    text = ""
    for l_max, tensors in product(L_MAX, (True, False)):
        text += f"if constexpr (l_max == {l_max} && {'' if tensors else '!'}tensors) {{\n"
        for line in body(l_max, tensors):
            text += fill(line, WIDTH, initial_indent=4 * " ", subsequent_indent=8 * " ") + "\n"
        text += "} else "
    return indent(text + 'static_assert(l_max < 0, "no products of this l_max");', 8 * " ").lstrip()


def header() -> str:
    """Return the text of the header."""
    parts = {
        "COUNTS\n": "".join(map(counted, L_MAX)),
        "FORWARD": choices(forward),
        "ADJOINT": choices(adjoint),
    }
    return reduce(lambda text, part: text.replace(*part), parts.items(), LAYOUT)


if __name__ == "__main__":
    HEADER.write_text(header(), encoding="utf-8")
