"""Batches: which structures form a step, which process takes them, how many fit at once.

The order is a function of (seed, epoch) alone. The global batch is formed first, then dealt to the
processes by neighbor pairs, then split so that no part has more than `max_edges`: none of that
changes the sum of the loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from reann.data.dataset import Subset
from reann.graph import Graph


@dataclass(frozen=True)
class Loader:
    """Batches of one part of the data for one of `size` processes."""

    subset: Subset
    batch_size: int
    max_edges: int | None = None
    rank: int = 0
    size: int = 1

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""
        return math.ceil(len(self.subset.indices) / self.batch_size)

    def batches(self, seed: int, epoch: int) -> list[np.ndarray]:
        """Return the structures of each step of a shuffled epoch, as indices into the data set."""
        order = np.random.default_rng([seed, epoch]).permutation(self.subset.indices)
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def in_order(self) -> list[np.ndarray]:
        """Return the steps of an epoch that is not shuffled."""
        every = self.subset.indices
        return [every[i : i + self.batch_size] for i in range(0, len(every), self.batch_size)]

    def parts(self, batch: np.ndarray) -> list[np.ndarray]:
        """Return this process' share of a batch, split by `max_edges`."""
        edges = self.subset.dataset.n_edges
        mine = deal(batch, edges[batch], self.size)[self.rank]
        return pieces(mine, edges, self.max_edges)

    def graphs(self, batches: list[np.ndarray]) -> Iterator[tuple[np.ndarray, list[Graph]]]:
        """Yield each batch and its graphs, while a thread prepares the next."""

        def load(batch: np.ndarray) -> list[Graph]:
            return [self.subset.dataset.graph(part) for part in self.parts(batch)]

        with ThreadPoolExecutor(1, "reann-loader") as ahead:
            upcoming = ahead.submit(load, batches[0]) if batches else None
            for i, batch in enumerate(batches):
                assert upcoming is not None
                graphs = upcoming.result()
                if i + 1 < len(batches):
                    upcoming = ahead.submit(load, batches[i + 1])
                yield batch, graphs


def pieces(indices: np.ndarray, edges: np.ndarray, max_edges: int | None) -> list[np.ndarray]:
    """Cut structures, in order, into pieces of at most so many pairs; a larger one is alone.

    Parameters
    ----------
    edges
        Neighbor pairs of every structure of the data set.
    max_edges
        None: everything is one piece.
    """
    starts, room = [], 0
    for place, index in enumerate(indices):
        if not starts or (max_edges is not None and room < edges[index]):
            starts.append(place)
            room = max_edges or 0
        room -= int(edges[index])
    return np.split(indices, starts[1:]) if starts else []


def deal(batch: np.ndarray, edges: np.ndarray, n_processes: int) -> list[np.ndarray]:
    """Deal structures to processes, the largest first, each to the one with the fewest edges."""
    if n_processes == 1:
        return [batch]
    hands: list[list[int]] = [[] for _ in range(n_processes)]
    load = np.zeros(n_processes)
    for place in np.argsort(-edges, kind="stable"):
        taker = int(load.argmin())
        hands[taker].append(int(batch[place]))
        load[taker] += edges[place] + 1
    return [np.array(hand, dtype=int) for hand in hands]


def automatic_batch_size(mean_atoms: float) -> int:
    """Return about 256 atoms' worth of structures, at least 1 and at most 32."""
    return int(np.clip(round(256 / mean_atoms), 1, 32))
