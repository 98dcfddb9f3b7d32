"""`select`: choice of structures of a pool to label next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ase
import numpy as np
from numpy.typing import NDArray

from reann.criteria import By
from reann.errors import UserError
from reann.potential import Ensemble, Potential
from reann.selection import greedy
from reann.selection.candidates import candidates_of
from reann.selection.describe import Whitening
from reann.selection.known import Known, ensemble_of, known_from
from reann.selection.result import Reason, Selection

Progress = Callable[[int], None]
Array = NDArray[np.float64]


def select(
    pool: Sequence[ase.Atoms],
    potential: Potential | Ensemble,
    training: Sequence[ase.Atoms],
    n: int,
    *,
    by: By = "both",
    seed: int = 0,
    progress: Progress = lambda _: None,
) -> Selection:
    """Choose structures to label: uncertain and diverse, excluding known and unphysical ones.

    Parameters
    ----------
    pool
        Structures to choose from, such as a molecular dynamics trajectory.
    potential
        The spread of forces comes from the members of an ensemble, or from draws of the last layer
        of a single potential, see `reann.uncertainty`.
    training
        Structures that the potential was trained on; their labels are not used.
    n
        Number of structures; fewer are returned if there are fewer candidates.
    by
        `both` combines spread and diversity, see `reann.selection.greedy`; `uncertainty` takes the
        largest spreads, `diversity` the largest distances from known structures, `random` any.
    seed
        Seed of `random`, and of the draws of a single potential.
    progress
        Called with the number of structures after each batch of the training data and the pool.

    Raises
    ------
    UserError
        If n is not positive, or no structure of the pool can be chosen.
    """
    if n < 1:
        raise UserError(f"{n} structures cannot be chosen.", "-n", "Choose at least 1.")
    known = known_from(training, potential, seed, progress)
    return select_beside(known, pool, potential, n, by=by, seed=seed, progress=progress)


def select_beside(
    known: Known,
    pool: Sequence[ase.Atoms],
    potential: Potential | Ensemble,
    n: int,
    *,
    by: By,
    seed: int,
    progress: Progress = lambda _: None,
) -> Selection:
    """Choose structures like `select`, beside data of the training set that are known already."""
    candidates = candidates_of(pool, potential, known, progress)
    spread, unit = np.array([candidate.largest for candidate in candidates.spreads]), "eV/Å"
    if ensemble_of(potential) is None:
        unit, spread = "medians", spread / max(float(np.median(spread)), 1e-300)
    of_pool = np.array(candidates.features)
    whitened = Whitening(known.features if len(known.features) else of_pool)
    x_known, x = whitened(known.features), whitened(of_pool)
    chosen = _choose(by, x, x_known, spread, n=min(n, len(x)), seed=seed)
    distance = _distances(x, x_known, chosen.rows)
    indices = [candidates.rows[row] for row in chosen.rows]
    reasons = []
    for k, (row, index) in enumerate(zip(chosen.rows, indices, strict=True)):
        atom = candidates.spreads[row].atom
        element = str(pool[index].symbols[atom])
        size, apart = float(spread[row]), float(distance[k])
        reasons.append(Reason(size, unit, atom, element, apart, chosen.left[k]))
    return Selection(
        atoms=[_copy(pool[i], reasons[k], k, i) for k, i in enumerate(indices)],
        indices=indices,
        reasons=reasons,
        rejected=dict(sorted(candidates.rejected.items())),
        spread=_of_pool(spread, candidates.rows, len(pool)),
        features=_of_pool(of_pool, candidates.rows, len(pool)),
        training_features=known.features,
    )


def _choose(by: By, x: Array, known: Array, spread: Array, *, n: int, seed: int) -> greedy.Choice:
    if by == "both":
        return greedy.by_determinant(x, spread, n)
    if by == "uncertainty":
        return greedy.by_spread(spread, n)
    if by == "diversity":
        return greedy.by_distance(x, known, n)
    return greedy.at_random(len(x), n, seed)


def _distances(x: Array, known: Array, rows: Sequence[int]) -> Array:
    """Return relative distances of chosen rows to the nearest known or earlier chosen row."""
    distance = greedy.nearest_distances(x[list(rows)], known)
    for k in range(1, len(rows)):
        to_earlier = np.linalg.norm(x[list(rows[:k])] - x[rows[k]], axis=1)
        distance[k] = min(distance[k], to_earlier.min())
    if len(known) < 2:
        return distance
    apart = [
        greedy.nearest_distances(known[k : k + 1], np.delete(known, k, axis=0))[0]
        for k in np.linspace(0, len(known) - 1, min(len(known), 200)).astype(int)
    ]
    return distance / max(float(np.median(apart)), 1e-300)


def _copy(atoms: ase.Atoms, reason: Reason, order: int, index: int) -> ase.Atoms:
    chosen = atoms.copy()
    chosen.info |= reason.info(order, index)
    return chosen


def _of_pool(values: NDArray, rows: list[int], n: int) -> NDArray[np.float64]:
    of_all = np.full((n, *values.shape[1:]), np.nan)
    of_all[rows] = values
    return of_all
