"""How formulas are made: equal recipes share their compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """A function that returns formulas, and what it is called with."""

    function: Callable[..., Any]
    arguments: tuple[tuple[str, Hashable], ...]

    def __call__(self) -> Any:
        """Return the formulas, new ones."""
        return self.function(**dict(self.arguments))


def recipe(function: Callable[..., Any], **arguments: Hashable) -> Recipe:
    """Return the recipe of a function that is called with these arguments."""
    return Recipe(function, tuple(arguments.items()))
