"""Ways to choose rows of features: by determinant, by distance, by spread, at random.

The determinantal choice adds one structure at a time so as to maximize the determinant of the
matrix s_i s_j k_ij of the chosen structures, where s is the spread and k the cosine of the
features. Each step takes the largest squared spread that earlier choices do not explain. The
result is the greedy approximation to the most probable set of a determinantal point process (Chen,
Zhang, Zhou, NeurIPS 2018; for active learning of potentials Zaverkin et al., Digital Discovery 1,
605 (2022)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UNEXPLAINED = 1e-3
"""Fraction of the squared spread that no other structure explains; it orders equal features."""


class Choice(NamedTuple):
    """Rows in the order in which they were chosen."""

    rows: list[int]
    left: list[float]
    """Fraction of the spread of each that the earlier rows do not explain."""


def by_determinant(features: NDArray[np.float64], spread: NDArray[np.float64], n: int) -> Choice:
    """Choose n rows by the determinant of the kernel weighted by the spread."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    v = spread[:, None] * features / np.where(lengths > 0.0, lengths, 1.0)
    start = np.maximum((1.0 + UNEXPLAINED) * spread**2, np.finfo(float).tiny)
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
    """Choose n rows, each the farthest from all known and all chosen rows."""
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
    """Choose the n rows with the largest spread."""
    return Choice(np.argsort(-spread, kind="stable")[:n].tolist(), [1.0] * n)


def at_random(n_rows: int, n: int, seed: int) -> Choice:
    """Choose n rows at random."""
    return Choice(np.random.default_rng(seed).permutation(n_rows)[:n].tolist(), [1.0] * n)


def nearest_distances(
    features: NDArray[np.float64], known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distance of each row to the nearest known row; infinite if there is none."""
    nearest = np.full(len(features), np.inf)
    for part in np.array_split(known, max(1, len(known) // 256)) if len(known) else []:
        squares = (features**2).sum(1)[:, None] + (part**2).sum(1) - 2.0 * features @ part.T
        nearest = np.minimum(nearest, np.sqrt(np.maximum(squares, 0.0).min(1)))
    return nearest
