"""Ways to choose rows of features: by determinant, by distance, by spread, at random.

The determinantal choice maximizes, one structure after the other, the determinant of the matrix
s_i s_j k_ij of the chosen ones, where s is the spread and k the cosine of the features: the squared
spread that the earlier choices leave. It is the greedy most probable set of a determinantal point
process (Chen, Zhang, Zhou, NeurIPS 2018; in active learning of potentials Zaverkin et al., Digital
Discovery 1, 605 (2022)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

OWN = 1e-3
"""Part of the squared spread that no other structure explains: equal features stay in order."""


class Choice(NamedTuple):
    """Rows in the order in which they were chosen."""

    rows: list[int]
    left: list[float]
    """Part of the spread of each that those before do not explain."""


def by_determinant(features: NDArray[np.float64], spread: NDArray[np.float64], n: int) -> Choice:
    """Choose n rows by the determinant of the weighted kernel; features (rows, features)."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    v = spread[:, None] * features / np.where(lengths > 0.0, lengths, 1.0)
    start = np.maximum((1.0 + OWN) * spread**2, np.finfo(float).tiny)
    remaining, rows, left = start.copy(), [], []
    explained = np.zeros((n, len(features)))
    for k in range(n):
        remaining[rows] = -np.inf
        best = int(remaining.argmax())
        left.append(float(np.sqrt(max(remaining[best] / start[best], 0.0))))
        common = v @ v[best] - explained[:k].T @ explained[:k, best]
        explained[k] = common / np.sqrt(max(remaining[best], np.finfo(float).tiny))
        remaining = remaining - explained[k] ** 2
        rows.append(best)
    return Choice(rows, left)


def by_distance(features: NDArray[np.float64], known: NDArray[np.float64], n: int) -> Choice:
    """Choose n rows, each the farthest from all known and all chosen before."""
    if len(known):
        distance = nearest_distances(features, known)
    else:
        distance = np.linalg.norm(features - features.mean(0), axis=1)
    rows: list[int] = []
    for _ in range(n):
        distance[rows] = -np.inf
        best = int(distance.argmax())
        rows.append(best)
        distance = np.minimum(distance, np.linalg.norm(features - features[best], axis=1))
    return Choice(rows, [1.0] * n)


def by_spread(spread: NDArray[np.float64], n: int) -> Choice:
    """Choose the n rows of the largest spread."""
    return Choice(np.argsort(-spread, kind="stable")[:n].tolist(), [1.0] * n)


def at_random(n_rows: int, n: int, seed: int) -> Choice:
    """Choose n rows at random."""
    return Choice(np.random.default_rng(seed).permutation(n_rows)[:n].tolist(), [1.0] * n)


def nearest_distances(
    features: NDArray[np.float64], known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distance of each row to the nearest known one; infinite if none is known."""
    found = np.full(len(features), np.inf)
    for part in np.array_split(known, max(1, len(known) // 256)) if len(known) else []:
        squares = (features**2).sum(1)[:, None] + (part**2).sum(1) - 2.0 * features @ part.T
        found = np.minimum(found, np.sqrt(np.maximum(squares, 0.0).min(1)))
    return found
