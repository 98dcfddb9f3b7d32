"""Which keys stand together in how many structures, for structures of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

Used = Collection[tuple[str, str]]
"""Labels with the keys that hold them; each key alone is enough."""


class KeySets:
    """Counts the sets of keys of structures, with the first structure that has each set."""

    def __init__(self) -> None:
        self.n = 0
        self._sets: Counter[tuple[frozenset[str], frozenset[str]]] = Counter()
        self._first: dict[tuple[frozenset[str], frozenset[str]], str] = {}

    def add(self, keys: Collection[str], without_weight: frozenset[str], origin: str) -> None:
        """Count a structure with its keys and the labels whose weight is zero."""
        self.n += 1
        both = frozenset(keys), without_weight
        self._sets[both] += 1
        self._first.setdefault(both, origin)

    def state(self) -> list[list[Any]]:
        """Return keys, labels without weight, number and first frame of each set, as JSON."""
        return [
            [sorted(keys), sorted(without), n, frame_of(self._first[keys, without])]
            for (keys, without), n in self._sets.items()
        ]

    def merge(self, state: list[list[Any]], name: str) -> None:
        """Add what `state` returned for a file, which now has this name."""
        for keys, without, n, frame in state:
            both = frozenset(keys), frozenset(without)
            self.n += n
            self._sets[both] += n
            self._first.setdefault(both, f"{name}#{frame}")

    def count(self, used: Used) -> int:
        """Return how many structures have one of the labels, with a weight above zero."""
        return sum(
            n
            for (keys, without), n in self._sets.items()
            if any(key in keys and label not in without for label, key in used)
        )

    def lacking(self, used: Used, labels: Collection[str]) -> Iterator[tuple[frozenset, int, str]]:
        """Yield keys, number and first of the structures that have none of the keys.

        Structures in which one of `labels` has a weight of zero lack nothing.
        """
        names = {key for _, key in used}
        for (keys, without), n in self._sets.items():
            if keys.isdisjoint(names) and without.isdisjoint(labels):
                yield keys, n, self._first[keys, without]


def frame_of(origin: str) -> str:
    """Return the number of the frame in an origin, as `17` of `train.xyz#17`."""
    return origin.rpartition("#")[2]
