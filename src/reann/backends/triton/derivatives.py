"""Derivatives of formulas: forward along a direction, and backward from weights of the results.

Both are formulas again, so that the second derivatives that a training on forces needs are the
adjoint of the tangent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from reann.backends.triton.symbols import Value, total


def slope(value: Value) -> Value:
    """Return the derivative of an applied function with respect to its argument."""
    argument = Value(value.formulas, value.node.operands[0])
    match value.node.detail:
        case "sin":
            return argument.apply("cos")
        case "cos":
            return argument.apply("sin") * -1.0
        case "exp":
            return value
        case "reciprocal":
            return value * value * -1.0
        case "sqrt":
            return value.apply("reciprocal") * 0.5
        case "rsqrt":
            return value * value * value * -0.5
    raise KeyError(value.node.detail)


def tangents(values: Sequence[Value], directions: Mapping[int, Value]) -> list[Value | None]:
    """Return the rates of values as inputs change; None for values that do not change.

    Parameters
    ----------
    directions
        Rates of inputs, by the numbers of their nodes.
    """
    formulas = values[0].formulas
    rates: dict[int, Value] = dict(directions)
    for number in range(max(value.number for value in values) + 1):
        if number in rates:
            continue
        rate = _rate(Value(formulas, number), rates)
        if rate is not None:
            rates[number] = rate
    return [rates.get(value.number) for value in values]


def _rate(value: Value, rates: Mapping[int, Value]) -> Value | None:
    node, formulas = value.node, value.formulas
    moving = [rates.get(x) for x in node.operands]
    if node.kind in ("less", "constant", "input") or all(rate is None for rate in moving):
        return None
    operands = [Value(formulas, x) for x in node.operands]
    if node.kind == "where":
        zero = formulas.constant(0.0, value)
        a, b = (zero if rate is None else rate for rate in moving[1:])
        return a.where(operands[0], b)
    if node.kind == "cast":
        assert moving[0] is not None
        return moving[0].to_double(node.is_double)
    partial = _partials(value)
    parts = [d(rate) for d, rate in zip(partial, moving, strict=True) if rate is not None]
    return total(parts)


def _partials(value: Value) -> list[Callable[[Value], Value]]:
    """Return the linear map of the rate of each operand; each map is its own adjoint."""
    node, formulas = value.node, value.formulas
    operands = [Value(formulas, x) for x in node.operands]
    match node.kind:
        case "add":
            return [lambda rate: rate] * 2
        case "multiply":
            a, b = operands
            return [lambda rate: rate * b, lambda rate: rate * a]
        case "scale":
            return [lambda rate: rate * node.detail]
        case "apply":
            d = slope(value)
            return [lambda rate: rate * d]
        case "radial":
            d = formulas.value(
                "radial",
                operands,
                (node.detail[0], node.detail[1] + 1),
                channels=True,
                double=False,
            )
            return [lambda rate: rate * d]
    raise KeyError(node.kind)


def adjoints(bars: Sequence[tuple[Value, Value]]) -> dict[int, Value]:
    """Return the derivatives of the sum of results times weights with respect to every node.

    Parameters
    ----------
    bars
        Results and their weights. If either has channels, the product is summed over them.
    """
    formulas = bars[0][0].formulas
    parts: dict[int, list[Value]] = defaultdict(list)
    for result, bar in bars:
        parts[result.number].append(bar)
    derivatives: dict[int, Value] = {}
    for number in range(max(parts), -1, -1):
        if number not in parts:
            continue
        value = Value(formulas, number)
        bar = derivatives[number] = _collected(value, parts[number])
        for operand, part in _passed_on(value, bar):
            parts[operand].append(part)
    return derivatives


def _collected(value: Value, parts: Sequence[Value]) -> Value:
    """Return the sum of the contributions to a node; for an edge, summed over the channels."""
    if value.has_channels or not any(part.has_channels for part in parts):
        return total(parts)
    with_channels = total(part for part in parts if part.has_channels).channel_sum()
    return total([with_channels, *(part for part in parts if not part.has_channels)])


def _passed_on(value: Value, bar: Value) -> list[tuple[int, Value]]:
    node = value.node
    if node.kind in ("input", "constant", "less"):
        return []
    if node.kind == "where":
        condition, a, b = node.operands
        inside, zero = Value(value.formulas, condition), value.formulas.constant(0.0, bar)
        return [(a, bar.where(inside, zero)), (b, zero.where(inside, bar))]
    if node.kind == "cast":
        operand = node.operands[0]
        return [(operand, bar.to_double(Value(value.formulas, operand).is_double))]
    if node.kind == "sum":
        return [(node.operands[0], bar)]
    return [(x, d(bar)) for x, d in zip(node.operands, _partials(value), strict=True)]
