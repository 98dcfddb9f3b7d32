"""Counts of the sets of keys of structures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

Used = Collection[tuple[str, str]]
"""Pairs of label and key; a structure has the label if it has any of the keys."""


class KeySets:
    """Counts sets of keys, and stores the first structure that has each set."""

    def __init__(self) -> None:
        self.n = 0
        self._sets: Counter[tuple[frozenset[str], frozenset[str]]] = Counter()
        self._first: dict[tuple[frozenset[str], frozenset[str]], str] = {}

    def add(self, keys: Collection[str], without_weight: frozenset[str], origin: str) -> None:
        """Count a structure by its keys and the labels whose weight is zero."""
        self.n += 1
        both = frozenset(keys), without_weight
        self._sets[both] += 1
        self._first.setdefault(both, origin)

    def state(self) -> list[list[Any]]:
        """Return keys, labels of zero weight, number of structures and first index, as JSON."""
        return [
            [sorted(keys), sorted(without), n, frame_of(self._first[keys, without])]
            for (keys, without), n in self._sets.items()
        ]

    def merge(self, state: list[list[Any]], name: str) -> None:
        """Add the result of `state` for a file, which may have been renamed."""
        for keys, without, n, frame in state:
            both = frozenset(keys), frozenset(without)
            self.n += n
            self._sets[both] += n
            self._first.setdefault(both, f"{name}#{frame}")

    def count(self, used: Used) -> int:
        """Return the number of structures that have one of the labels with a nonzero weight."""
        return sum(
            n
            for (keys, without), n in self._sets.items()
            if any(key in keys and label not in without for label, key in used)
        )

    def without(self, used: Used, labels: Collection[str]) -> Iterator[tuple[frozenset, int, str]]:
        """Yield keys, number and first of the structures that have none of the keys.

        Structures in which one of `labels` has a weight of zero are omitted.
        """
        names = {key for _, key in used}
        for (keys, without), n in self._sets.items():
            if keys.isdisjoint(names) and without.isdisjoint(labels):
                yield keys, n, self._first[keys, without]


def frame_of(origin: str) -> str:
    """Return the index in an origin, for example `17` of `train.xyz#17`."""
    return origin.rpartition("#")[2]
