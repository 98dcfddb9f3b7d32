"""Batches of structures: their order, and their distribution over processes.

The order depends only on (seed, epoch). The global batch is formed first, then distributed over
the processes by the number of neighbor pairs, then split into parts of at most `max_edges`; this
does not change the total loss.
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
    """Batches of a subset for one of `size` processes."""

    subset: Subset
    batch_size: int
    max_edges: int | None = None
    rank: int = 0
    size: int = 1
    pins: bool = False
    """Whether the thread that prepares batches puts them where a GPU reads them by itself."""

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""
        return math.ceil(len(self.subset.indices) / self.batch_size)

    def batches(self, seed: int, epoch: int) -> list[np.ndarray]:
        """Return the indices of the structures in each step of a shuffled epoch."""
        order = np.random.default_rng([seed, epoch]).permutation(self.subset.indices)
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def in_order(self) -> list[np.ndarray]:
        """Return the indices of the structures in each step of an epoch without shuffling."""
        indices = self.subset.indices
        return [indices[i : i + self.batch_size] for i in range(0, len(indices), self.batch_size)]

    def parts(self, batch: np.ndarray) -> list[np.ndarray]:
        """Return the share of this process of a batch, split by `max_edges`."""
        edges = self.subset.dataset.n_edges
        share = deal(batch, edges[batch], self.size)[self.rank]
        return pieces(share, edges, self.max_edges)

    def graphs(self, batches: list[np.ndarray]) -> Iterator[tuple[np.ndarray, list[Graph]]]:
        """Yield each batch and its graphs while a thread prepares the next."""

        def load(batch: np.ndarray) -> list[Graph]:
            graphs = [self.subset.dataset.graph(part) for part in self.parts(batch)]
            return [graph.pinned() for graph in graphs] if self.pins else graphs

        with ThreadPoolExecutor(1, "reann-loader") as ahead:
            upcoming = ahead.submit(load, batches[0]) if batches else None
            for i, batch in enumerate(batches):
                assert upcoming is not None
                graphs = upcoming.result()
                if i + 1 < len(batches):
                    upcoming = ahead.submit(load, batches[i + 1])
                yield batch, graphs


def pieces(indices: np.ndarray, edges: np.ndarray, max_edges: int | None) -> list[np.ndarray]:
    """Split structures, in order, into pieces of at most `max_edges` neighbor pairs.

    A structure with more pairs is a piece of its own.

    Parameters
    ----------
    edges
        Number of neighbor pairs of each structure of the data set.
    max_edges
        None for a single piece.
    """
    starts, remaining = [], 0
    for position, index in enumerate(indices):
        if not starts or (max_edges is not None and remaining < edges[index]):
            starts.append(position)
            remaining = max_edges or 0
        remaining -= int(edges[index])
    return np.split(indices, starts[1:]) if starts else []


def deal(batch: np.ndarray, edges: np.ndarray, n_processes: int) -> list[np.ndarray]:
    """Distribute structures over processes, largest first, each to the one with fewest edges."""
    if n_processes == 1:
        return [batch]
    shares: list[list[int]] = [[] for _ in range(n_processes)]
    load = np.zeros(n_processes)
    for position in np.argsort(-edges, kind="stable"):
        process = int(load.argmin())
        shares[process].append(int(batch[position]))
        load[process] += edges[position] + 1
    return [np.array(share, dtype=int) for share in shares]


def automatic_batch_size(mean_atoms: float) -> int:
    """Return the number of structures with about 256 atoms in total, between 1 and 32."""
    return int(np.clip(round(256 / mean_atoms), 1, 32))
