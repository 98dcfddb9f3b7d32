"""Formulas as statements of a Triton kernel, each just before its first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reann.backends.triton.symbols import Formulas, Value

FUNCTIONS = {
    "sin": "tl.sin({})",
    "cos": "tl.cos({})",
    "exp": "tl.exp({})",
    "reciprocal": "1.0 / {}",
    "sqrt": "tl.sqrt({})",
    "rsqrt": "tl.rsqrt({})",
}
FORMS = {
    "constant": "tl.full([1, 1], {detail!r}, {type})",
    "add": "{} + {}",
    "multiply": "{} * {}",
    "scale": "{} * {detail!r}",
    "less": "{} < {}",
    "where": "tl.where({}, {}, {})",
    "cast": "{}.to({type})",
    "sum": "tl.sum({}, axis=1)[:, None]",
}
"""Statements by the kind of a node."""
TYPES = {True: "tl.float64", False: "REAL"}


class Statements:
    """The statements of some values.

    Parameters
    ----------
    prefix
        Begins the names of all variables, so that a kernel can have two such lists.
    load
        Returns the expression that gives an input by its name.
    weight
        Returns the expression of the weight of a function of the basis in a radial function, from
        the numbers of both.
    bases
        The radial basis by the order of the derivative.
    """

    def __init__(
        self,
        formulas: Formulas,
        prefix: str,
        load: Callable[[str], str],
        *,
        weight: Callable[[int, int], str] | None = None,
        bases: Sequence[Sequence[Value]] = (),
    ) -> None:
        self.formulas, self.prefix, self.load = formulas, prefix, load
        self.weight, self.bases = weight, bases
        self.lines: list[str] = []
        self.names: dict[int, str] = {}

    def name(self, value: Value) -> str:
        """Return the name of a value, after the statements that compute it."""
        waiting = [value.number]
        while waiting:
            number = waiting[-1]
            missing = [x for x in self._needed(number) if x not in self.names]
            if number in self.names:
                waiting.pop()
            elif missing:
                waiting += reversed(missing)
            else:
                self.names[number] = f"{self.prefix}{number}"
                self.lines.append(f"{self.names[number]} = {self._text(number)}")
                waiting.pop()
        return self.names[value.number]

    def _needed(self, number: int) -> list[int]:
        node = self.formulas.nodes[number]
        if node.kind == "radial":
            return [b.number for b in self.bases[node.detail[1]]]
        return list(node.operands)

    def _text(self, number: int) -> str:
        node = self.formulas.nodes[number]
        if node.kind == "input":
            return self.load(node.detail)
        if node.kind == "radial":
            return self._radial(*node.detail)
        form = FUNCTIONS[node.detail] if node.kind == "apply" else FORMS[node.kind]
        names = [self.names[x] for x in node.operands]
        return form.format(*names, detail=node.detail, type=TYPES[node.is_double])

    def _radial(self, path: int, order: int) -> str:
        assert self.weight is not None
        functions = enumerate(self.bases[order])
        terms = [f"{self.names[b.number]} * {self.weight(path, n)}" for n, b in functions]
        return " + ".join(terms)
