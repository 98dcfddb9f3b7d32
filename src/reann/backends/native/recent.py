"""The most recently used values of a table, for any number of keys."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

STATES = 64
"""Number of states of charge, spin and size whose models are kept; each has a copy of the
weights."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Keeps a limited number of values, and forgets those that were not used for longest."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def of(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of a key, which is made if it is not kept."""
        if key not in self._values:
            self._values[key] = make()
            if len(self._values) > self.most:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]
