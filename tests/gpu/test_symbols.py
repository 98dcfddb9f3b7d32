"""Formulas, their derivatives, and what they become as statements."""

import math

import pytest

from reann.backends.triton import density_sums, equivariant_sums
from reann.backends.triton.derivatives import adjoints, tangents
from reann.backends.triton.statements import Statements
from reann.backends.triton.symbols import Formulas

STEP = 1e-6


class NumbersInsteadOfTiles:
    """What statements use of the language, for numbers."""

    float64 = float
    sin, cos, exp, sqrt = math.sin, math.cos, math.exp, math.sqrt

    @staticmethod
    def rsqrt(x):
        return x**-0.5

    @staticmethod
    def where(condition, a, b):
        return a if condition else b

    @staticmethod
    def full(shape, number, kind):
        del shape, kind
        return number


def computed(values, **inputs):
    """Return values by running their statements."""
    code = Statements(values[0].formulas, "t", inputs.__getitem__)
    code.load = lambda name: repr(inputs[name])
    names = [code.name(value) for value in values]
    scope = {"tl": NumbersInsteadOfTiles, "REAL": float}
    exec("\n".join(code.lines), scope)  # noqa: S102 - of this package
    return [scope[name] for name in names]


def function(formulas):
    x, y = (formulas.input(name, channels=False) for name in "xy")
    r = (x * x + y * y).apply("sqrt")
    far = (r * 0.3).apply("cos").where(r.less(formulas.constant(2.0, r)), r.apply("exp"))
    return [far / (y + 2.0) - x * (1.0 - y), (x + 3.0).apply("rsqrt") * r.apply("sin")]


@pytest.mark.parametrize("at", [{"x": 0.7, "y": 0.4}, {"x": 2.5, "y": -0.3}])
def test_tangents_and_adjoints_are_slopes(at):
    formulas = Formulas()
    results = function(formulas)
    x, y, dx, dy, a, b = (
        formulas.input(name, channels=False) for name in ("x", "y", "dx", "dy", "a", "b")
    )
    rates = tangents(results, {x.number: dx, y.number: dy})
    bars = adjoints(list(zip(results, [a, b], strict=True)))
    others = {"dx": 0.3, "dy": -0.8, "a": 1.5, "b": -0.2}

    def moved(step):
        there = {"x": at["x"] + step * others["dx"], "y": at["y"] + step * others["dy"]}
        return computed(results, **there, **others)

    slopes = [(p - m) / (2 * STEP) for p, m in zip(moved(STEP), moved(-STEP), strict=True)]
    assert computed(rates, **at, **others) == pytest.approx(slopes, abs=1e-8)

    along = computed([bars[x.number], bars[y.number]], **at, **others)
    expected = others["a"] * slopes[0] + others["b"] * slopes[1]
    assert others["dx"] * along[0] + others["dy"] * along[1] == pytest.approx(expected, abs=1e-8)


def test_what_occurs_twice_is_computed_once():
    formulas = Formulas()
    x, y = formulas.input("x"), formulas.input("y")
    assert (x * y).number == (y * x).number
    assert (x * 2.0 * 3.0).number == (x * 6.0).number


def test_an_edge_gets_the_sum_over_its_channels():
    formulas = Formulas()
    edge, channel = formulas.input("e", channels=False), formulas.input("c")
    bar = adjoints([(edge * channel, formulas.input("bar"))])
    assert bar[edge.number].node.kind == "sum"
    assert not bar[edge.number].has_channels
    assert bar[channel.number].has_channels


BASIS = equivariant_sums.Basis("bessel", "squared_cosine", 4.0, 2)
SUMS = {
    form: lambda form=form: density_sums.sums(
        "squared_cosine", 4.0, 2, unit=True, passed_on=form, per_pair=False, soft=True
    )
    for form in density_sums.PASSED_ON
} | {"equivariant": lambda: equivariant_sums.sums(BASIS, 2, 3, soft=True)}


@pytest.mark.parametrize("form", SUMS)
def test_sums_are_linear_in_what_neighbors_pass_on(form):
    """Rates along these states are sums of the rates then: responses to a field need no more."""
    own = SUMS[form]()
    states = [own.states[i] for i in own.moving]
    assert states
    rates = tangents(own.results, {h.number: h for h in states})
    assert [rate.number for rate in rates] == [result.number for result in own.results]
    along = {h.number: own.formulas.input(f"d{h.node.detail}") for h in states}
    first = tangents(own.results, along)
    assert tangents(first, along) == [None] * len(first)
