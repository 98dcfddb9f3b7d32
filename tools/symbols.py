"""A computation with symbols in place of numbers, its adjoint, and both as statements of C++.

What occurs twice is computed once. The adjoint follows from the record of a computation, read
backwards (reverse mode of automatic differentiation).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

Node = tuple
"""("load", name, C++), ("product", a, b) or ("sum", (c, a), ..) with numbers a, b of nodes."""


@dataclass
class Record:
    """The nodes of a computation in their order, each once; `plain` ones have no tangents."""

    nodes: list[Node] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)
    known: dict[Node, int] = field(default_factory=dict)

    def value(self, node: Node, plain: bool, factor: float = 1.0) -> Value:
        if node not in self.known:
            self.known[node] = len(self.nodes)
            self.nodes.append(node)
            self.plain.append(plain)
        return Value(self, self.known[node], factor)


@dataclass(frozen=True)
class Value:
    """A node times a number."""

    record: Record
    node: int
    factor: float = 1.0

    def __add__(self, other: Value) -> Value:
        return total([self, other])

    def __sub__(self, other: Value) -> Value:
        return total([self, other * -1.0])

    def __mul__(self, other: Value | float) -> Value:
        if not isinstance(other, Value):
            return Value(self.record, self.node, rounded(self.factor * other))
        a, b = sorted((self.node, other.node))
        plain = self.record.plain[a] and self.record.plain[b]
        return self.record.value(("product", a, b), plain, rounded(self.factor * other.factor))


def total(values: Iterable[Value]) -> Value:
    """Return a sum; the factor that most terms share stands outside."""
    first, *others = values
    record, terms = first.record, defaultdict(float)
    for value in (first, *others):
        terms[value.node] = rounded(terms[value.node] + value.factor)
    terms = {node: factor for node, factor in sorted(terms.items()) if factor}
    if len(terms) == 1:
        return Value(record, *terms.popitem())
    size = Counter(map(abs, terms.values())).most_common(1)[0][0]
    scale = size if size in terms.values() else -size
    node = ("sum", *((rounded(factor / scale), node) for node, factor in terms.items()))
    return record.value(node, all(record.plain[node] for node in terms), scale)


def rounded(number: float) -> float:
    """Return a number without rounding: the root of a ratio of integers, as all of them are."""
    square = Fraction(number * number).limit_denominator(1_000_000)
    root = math.copysign(math.sqrt(square), number)
    assert math.isclose(root, number, rel_tol=1e-12, abs_tol=1e-12), number
    return root


def adjoints(results: Sequence[Value], bars: Sequence[Value]) -> dict[int, Value]:
    """Return the derivatives of the sum of results times bars by every node."""
    record, parts = results[0].record, defaultdict(list)
    for result, bar in zip(results, bars, strict=True):
        parts[result.node].append(bar * result.factor)
    derivatives = {}
    for node in range(max(parts), -1, -1):
        if node not in parts:
            continue
        bar = derivatives[node] = total(parts[node])
        kind, *operands = record.nodes[node]
        if kind == "sum":
            for factor, operand in operands:
                parts[operand].append(bar * factor)
        elif kind == "product":
            for operand, other in (operands, operands[::-1]):
                parts[operand].append(bar * Value(record, other))
    return derivatives


# --- C++ --------------------------------------------------------------------------------------


class Code:
    """Statements for some results of a record, each formula just before its first use."""

    def __init__(self, record: Record, results: Iterable[Value]) -> None:
        self.record = record
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        self.uses = Counter(value.node for value in results)
        for node in range(max(self.uses), -1, -1):
            if self.uses[node]:
                self.uses.update(self.operands(node))

    def operands(self, node: int) -> list[int]:
        kind, *operands = self.record.nodes[node]
        if kind == "sum":
            return [operand for _, operand in operands]
        return operands if kind == "product" else []

    def store(self, target: str, value: Value) -> None:
        text = self.text(value)
        self.lines.append(f"store({target}, {text});")

    def text(self, value: Value) -> str:
        return scaled(self.name(value.node), value.factor)

    def name(self, node: int) -> str:
        """Return the name of a node, after the statement that computes it."""
        if node not in self.names:
            kind, *operands = self.record.nodes[node]
            name, text = operands if kind == "load" else ("", self.formula(node))
            self.names[node] = name or f"t{len(self.names)}"
            self.lines.append(f"const auto {self.names[node]} = {text};")
        return self.names[node]

    def formula(self, node: int) -> str:
        """Return the right-hand side of a statement, dual numbers to the left of plain ones."""
        kind, *operands = self.record.nodes[node]
        if kind == "product":
            return " * ".join(map(self.name, sorted(operands, key=self.record.plain.__getitem__)))
        groups = defaultdict(list)
        for factor, operand in operands:
            inline = self.record.nodes[operand][0] == "product" and self.uses[operand] == 1
            text = self.formula(operand) if inline else self.name(operand)
            groups[abs(factor)].append((self.record.plain[operand], factor < 0, text))
        terms = groups.pop(1.0)
        for size, group in groups.items():
            plain, negative, _ = min(group)
            inner = joined((p, n != negative, text) for p, n, text in group)
            inner = inner if len(group) == 1 else f"({inner})"
            terms.append((plain, negative, scaled(inner, size)))
        return joined(terms)


def joined(terms: Iterable[tuple[bool, bool, str]]) -> str:
    """Return a sum of terms, each plain or not, negative or not."""
    (_, negative, text), *others = sorted(terms)
    signs = [f" {'-' if minus else '+'} {other}" for _, minus, other in others]
    return "".join([scaled(text, -1.0 if negative else 1.0), *signs])


def scaled(text: str, factor: float) -> str:
    return text if factor == 1 else f"{text} * Real({factor!r})"
