"""The contribution of an edge to the sums of its center, as formulas for all kernels over edges."""

from __future__ import annotations

from typing import NamedTuple

from reann.backends.triton.symbols import Formulas, Value


class EdgeFunction(NamedTuple):
    """A function of an edge.

    Attributes
    ----------
    states
        Inputs h_0, h_1 ..: the rows of the neighbor.
    results
        Rows of the sums.
    moving
        Numbers of the states that change with the positions, in which the results are linear.
    chosen
        Numbers of the states, the last ones, that a neighbor has one of for each element of the
        center.
    bases
        Radial basis by the order of the derivative with respect to the distance; radial functions
        are combinations of it. Empty without these.
    distance
        The distance that they are functions of; None without them.
    n_paths
        Number of radial functions.
    """

    formulas: Formulas
    states: list[Value]
    results: list[Value]
    moving: range
    chosen: range = range(0)
    bases: list[list[Value]] = []  # noqa: RUF012 - never changed
    distance: Value | None = None
    n_paths: int = 0

    def rows_of(self, state: int, n_elements: int) -> range:
        """Return the rows of a state: one, or one for each element of the center."""
        if state not in self.chosen:
            return range(state, state + 1)
        first = self.chosen.start + (state - self.chosen.start) * n_elements
        return range(first, first + n_elements)

    def radial(self, path: int, order: int) -> Value:
        """Return a radial function, or a derivative of it."""
        assert self.distance is not None
        return radial(self.distance, path, order)


def radial(r: Value, path: int, order: int = 0) -> Value:
    """Return a radial function of a distance, or its derivative of some order."""
    return r.formulas.value("radial", [r], (path, order), channels=True, double=False)
