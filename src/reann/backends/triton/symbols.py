"""Formulas with symbols in place of numbers: each subexpression once, in the order of computation.

A value belongs to an edge or to a channel of an edge (or of an atom). Edge vectors, and values
computed from them before a cast, are in double precision; all other values have the precision of
the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any


@dataclass(frozen=True)
class Node:
    """A subexpression.

    Attributes
    ----------
    kind
        `input`, `radial` or `constant`; `add`, `multiply`, `scale`, `apply`, `less`, `where`,
        `cast` or `sum`, which sums over the channels.
    operands
        Numbers of other nodes.
    detail
        Name, number or function, whatever the kind needs.
    """

    kind: str
    operands: tuple[int, ...]
    detail: Any
    has_channels: bool
    is_double: bool


@dataclass
class Formulas:
    """All subexpressions of some formulas; operands precede the results."""

    nodes: list[Node] = field(default_factory=list)
    known: dict[Node, int] = field(default_factory=dict)

    def input(self, name: str, *, channels: bool = True, double: bool = False) -> Value:
        """Return an input by its name."""
        return self.value("input", (), name, channels=channels, double=double)

    def constant(self, number: float, like: Value) -> Value:
        """Return a number, in the precision of another value."""
        return self.value("constant", (), float(number), channels=False, double=like.is_double)

    def value(
        self,
        kind: str,
        operands: Iterable[Value],
        detail: Any = None,
        *,
        channels: bool,
        double: bool,
    ) -> Value:
        """Return the value of a node; an equal node is reused."""
        node = Node(kind, tuple(x.number for x in operands), detail, channels, double)
        if node not in self.known:
            self.known[node] = len(self.nodes)
            self.nodes.append(node)
        return Value(self, self.known[node])


@dataclass(frozen=True, eq=False)
class Value:
    """A node of some formulas."""

    formulas: Formulas
    number: int

    @property
    def node(self) -> Node:
        """The node."""
        return self.formulas.nodes[self.number]

    @property
    def has_channels(self) -> bool:
        """Whether there is one for each channel."""
        return self.node.has_channels

    @property
    def is_double(self) -> bool:
        """Whether it is in double precision for any precision of the model."""
        return self.node.is_double

    def __add__(self, other: Value | float) -> Value:
        if not isinstance(other, Value):
            if other == 0.0:
                return self
            other = self.formulas.constant(other, self)
        pair = sorted((self, other), key=lambda x: x.number)
        return self._made("add", pair)

    __radd__ = __add__

    def __sub__(self, other: Value | float) -> Value:
        return self + other * -1.0

    def __rsub__(self, other: float) -> Value:
        return self * -1.0 + other

    def __mul__(self, other: Value | float) -> Value:
        if isinstance(other, Value):
            pair = sorted((self, other), key=lambda x: x.number)
            return self._made("multiply", pair)
        node = self.node
        if node.kind == "scale":
            return Value(self.formulas, node.operands[0]) * (node.detail * other)
        if other == 1.0:
            return self
        return self._made("scale", [self], float(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Value | float) -> Value:
        if isinstance(other, Value):
            return self * other.apply("reciprocal")
        return self * (1.0 / other)

    def apply(self, function: str) -> Value:
        """Return a function of the value: one of `FUNCTIONS`."""
        return self._made("apply", [self], function)

    def less(self, other: Value) -> Value:
        """Return whether the value is less than another."""
        return self._made("less", [self, other])

    def where(self, condition: Value, otherwise: Value) -> Value:
        """Return the value where a condition holds."""
        return self._made("where", [condition, self, otherwise])

    def to_double(self, double: bool) -> Value:
        """Return the value in double precision, or in that of the model."""
        if self.is_double == double:
            return self
        return self.formulas.value("cast", [self], channels=self.has_channels, double=double)

    def channel_sum(self) -> Value:
        """Return the sum over channels."""
        return self.formulas.value("sum", [self], channels=False, double=self.is_double)

    def _made(self, kind: str, operands: Iterable[Value], detail: Any = None) -> Value:
        operands = list(operands)
        channels = any(x.has_channels for x in operands)
        values = operands[1:] if kind == "where" else operands
        if len({x.is_double for x in values}) > 1:
            raise TypeError(f"{kind} of values in different precision")
        double = values[0].is_double
        return self.formulas.value(kind, operands, detail, channels=channels, double=double)


def total(values: Iterable[Value]) -> Value:
    """Return the sum of values."""
    return reduce(add, values)
