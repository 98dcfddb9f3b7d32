"""Recipes for formulas; equal recipes share their compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """A function that returns formulas, and its arguments."""

    function: Callable[..., Any]
    arguments: tuple[tuple[str, Hashable], ...]

    def __call__(self) -> Any:
        """Return new formulas."""
        return self.function(**dict(self.arguments))


def recipe(function: Callable[..., Any], **arguments: Hashable) -> Recipe:
    """Return the recipe of a function that is called with these arguments."""
    return Recipe(function, tuple(arguments.items()))
