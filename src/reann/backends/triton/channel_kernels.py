"""Kernels over the channels of atoms: products of moments, their slopes, and rates of both.

Moments, weights and tensors have the layout (rows, atoms, channels), scalar products the layout
(atoms, products, channels), the input of one matrix product for each element.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from reann.backends.triton.derivatives import adjoints, tangents
from reann.backends.triton.node_products import ChannelFunction
from reann.backends.triton.recipe import Recipe
from reann.backends.triton.source import kernel
from reann.backends.triton.statements import Statements
from reann.backends.triton.symbols import Value

TILE = 128
"""Size of a tile, atoms times channels: one number for each thread."""


def atoms_of_tile(channels: int) -> int:
    """Return the number of atoms that a program computes."""
    return max(TILE // _width(channels), 1)


def _width(channels: int) -> int:
    return 1 << (channels - 1).bit_length()


class Channel:
    """The text of kernels for a function of a channel."""

    def __init__(self, function: ChannelFunction, channels: int) -> None:
        self.function, self.channels = function, channels
        self.code = Statements(function.formulas, "t", self.load)

    def head(self) -> list[str]:
        """Return the atoms and channels of a tile."""
        n_atoms = atoms_of_tile(self.channels)
        lines = [
            "n = n_atoms.to(tl.int64)",
            f"a = tl.program_id(0).to(tl.int64) * {n_atoms} + tl.arange(0, {n_atoms})[:, None]",
            f"k = tl.arange(0, {_width(self.channels)})[None, :]",
            f"here = (a < n) & (k < {self.channels})",
        ]
        if self.function.weights:
            lines.append("z = tl.load(element + a, mask=a < n, other=0).to(tl.int64)")
        return lines

    def load(self, name: str) -> str:
        """Return the expression of an input."""
        kind, _, number = name.rpartition("_")
        n_scalars, n_weights = len(self.function.scalars), len(self.function.weights)
        if kind == "bar" and int(number) >= n_scalars:
            return self._loaded(self.row("tensor_bars", int(number) - n_scalars))
        if kind == "bar":
            return self._loaded(self.product("bars", int(number)))
        if kind == "w":
            return self._loaded(f"weights + (z * {n_weights} + {number}) * {self.channels} + k")
        return self._loaded(self.row({"m": "moments", "dm": "rates"}[kind], int(number)))

    def row(self, pointer: str, number: int) -> str:
        """Return the address of a row of all atoms."""
        return f"{pointer} + ({number} * n + a) * {self.channels} + k"

    def product(self, pointer: str, number: int) -> str:
        """Return the address of a scalar product of all atoms."""
        n_scalars = len(self.function.scalars)
        return f"{pointer} + (a * {n_scalars} + {number}) * {self.channels} + k"

    def _loaded(self, place: str) -> str:
        return f"tl.load({place}, mask=here, other=0.0)"

    def results(self, *, moving: bool) -> list[Value | None]:
        """Return scalars and tensors, or their derivatives along rates of the moments."""
        function, formulas = self.function, self.function.formulas
        values = [*function.scalars, *function.tensors]
        if not moving:
            return list(values)
        directions = {m.number: formulas.input(f"dm_{i}") for i, m in enumerate(function.moments)}
        return tangents(values, directions)

    def adjoints(self, *, moving: bool) -> dict[int, Value]:
        """Return the derivatives of the sum of results, or of rates, times `bar`."""
        formulas = self.function.formulas
        results = enumerate(self.results(moving=moving))
        return adjoints([(x, formulas.input(f"bar_{i}")) for i, x in results if x is not None])

    def stored(self, place: str, value: Value | None) -> list[str]:
        """Return the statements that compute a value and write it."""
        before = len(self.code.lines)
        name = "tl.zeros([1, 1], dtype=REAL)" if value is None else self.code.name(value)
        lines = self.code.lines[before:]
        return [*lines, f"tl.store({place}, {name} + tl.zeros_like({self.zero}), mask=here)"]

    zero = "here.to(REAL)"
    """A tile over which a value without channels is broadcast."""

    def arguments(self, *names: str) -> list[str]:
        """Return the arguments of a kernel."""
        weights = ["element", "weights"] if self.function.weights else []
        return [*weights, "moments", *names, "n_atoms"]


@cache
def values(make: Recipe, channels: int, real: str, *, moving: bool) -> Any:
    """Return the kernel that computes the results, or their rates."""
    channel = Channel(make(), channels)
    function, body = channel.function, channel.head()
    results, n_scalars = channel.results(moving=moving), len(channel.function.scalars)
    for p, value in enumerate(results[:n_scalars]):
        body += channel.stored(channel.product("scalars", p), value)
    for i, value in enumerate(results[n_scalars:]):
        body += channel.stored(channel.row("tensors", i), value)
    names = [*(["rates"] if moving else []), "scalars", *(["tensors"] if function.tensors else [])]
    return kernel("product_rates" if moving else "products", channel.arguments(*names), body, real)


@cache
def slopes(
    make: Recipe,
    channels: int,
    real: str,
    *,
    moving: bool,
    of_weights: bool,
) -> Any:
    """Return the kernel for derivatives of results, or of rates, by moments and by weights."""
    channel = Channel(make(), channels)
    function, body = channel.function, channel.head()
    derivatives = channel.adjoints(moving=moving)
    for i, m in enumerate(function.moments):
        body += channel.stored(channel.row("of_moments", i), derivatives.get(m.number))
    weights: Sequence[Value] = function.weights if of_weights else ()
    for p, w in enumerate(weights):
        body += channel.stored(channel.row("of_weights", p), derivatives.get(w.number))
    bars = ["bars", *(["tensor_bars"] if function.tensors else [])]
    names = [
        *(["rates"] if moving else []),
        *bars,
        "of_moments",
        *(["of_weights"] if weights else []),
    ]
    name = "slopes_of_product_rates" if moving else "product_slopes"
    return kernel(name, channel.arguments(*names), body, real)
