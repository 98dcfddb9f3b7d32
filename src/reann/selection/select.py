"""`select`: which structures of a pool to label next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import ase
import numpy as np
from numpy.typing import NDArray

from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.potential import Ensemble, Potential
from reann.selection import greedy
from reann.selection.describe import Whitening, features, spreads
from reann.selection.geometry import LARGEST_FORCE, Distances, fingerprints_of
from reann.selection.result import Reason, Selection
from reann.selection.spread import with_spread

By = Literal["both", "uncertainty", "diversity", "random"]

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
    """Choose structures to label: uncertain, different, neither known nor broken.

    Parameters
    ----------
    pool
        What to choose from, such as the trajectory of a molecular dynamics.
    potential
        An ensemble tells the spread of the forces by its members; a single potential by draws of
        its last layer, see `reann.model.posterior`.
    training
        Structures that the potential was trained on; their labels are not used.
    n
        How many to choose; fewer are returned if fewer can be chosen.
    by
        `both` weighs spread and difference, see `reann.selection.greedy`; `uncertainty` takes the
        largest spread, `diversity` the farthest from what is known, `random` any.
    seed
        Of `random`, and of the draws of a single potential.
    progress
        Called with the number of structures after each batch; all together that is the training,
        and the pool two times.

    Raises
    ------
    UserError
        If n is not positive, or no structure of the pool can be chosen.
    """
    if n < 1:
        raise UserError(f"{n} structures cannot be chosen.", "-n", "Choose at least 1.")
    known = [graph_of_atoms(potential, atoms) for atoms in training]
    rejected, graphs = acceptable(pool, potential, training, known)
    uncertain = with_spread(potential, known, seed)
    spread, atom, force = spreads(uncertain, list(graphs.values()), progress)
    rows = np.array(list(graphs), dtype=np.int64)
    kept = force <= LARGEST_FORCE  # false for NaN, too
    for row, size in zip(rows[~kept], force[~kept], strict=True):
        rejected[int(row)] = f"forces too large: the largest is {size:.3g} eV/Å"
    rows, spread, atom = rows[kept], spread[kept], atom[kept]
    if not len(rows):
        raise _none_left(rejected)
    unit = "eV/Å"
    if len(potential.members) == 1 and potential.calibration is None:
        unit, spread = "medians", spread / max(float(np.median(spread)), 1e-300)
    model, remaining = potential.model, [graphs[int(row)] for row in rows]
    of_training, of_pool = (features(model, some, progress) for some in (known, remaining))
    whitened = Whitening(of_training if len(of_training) else of_pool)
    x_known, x = whitened(of_training), whitened(of_pool)
    chosen = _choose(by, x, x_known, spread, n=min(n, len(rows)), seed=seed)
    distance = _distances(x, x_known, chosen.rows)
    reasons = [
        Reason(
            float(spread[row]),
            unit,
            int(atom[row]),
            pool[rows[row]].symbols[atom[row]],
            float(distance[i]),
            chosen.left[i],
        )
        for i, row in enumerate(chosen.rows)
    ]
    indices = [int(rows[row]) for row in chosen.rows]
    return Selection(
        atoms=[_copy(pool[i], reasons[k], k, i) for k, i in enumerate(indices)],
        indices=indices,
        reasons=reasons,
        rejected=dict(sorted(rejected.items())),
        spread=_of_pool(spread, rows, len(pool)),
        features=_of_pool(of_pool, rows, len(pool)),
        training_features=of_training,
    )


def acceptable(
    pool: Sequence[ase.Atoms],
    potential: Potential | Ensemble,
    training: Sequence[ase.Atoms],
    known: Sequence[Graph],
) -> tuple[dict[int, str], dict[int, Graph]]:
    """Return why structures of a pool are rejected, and the graphs of the others, by index."""
    distances = Distances()
    for graph in known:
        distances.add(graph)
    seen = dict.fromkeys(fingerprints_of(training).tolist(), "is in the training data")
    rejected: dict[int, str] = {}
    graphs: dict[int, Graph] = {}
    prints = fingerprints_of(pool).tolist()
    for i, (atoms, fingerprint) in enumerate(zip(pool, prints, strict=True)):
        unknown = sorted({s for s in atoms.symbols if s not in potential.elements})
        if unknown:
            rejected[i] = f"elements that the potential does not know: {', '.join(unknown)}"
            continue
        if fingerprint in seen:
            rejected[i] = seen[fingerprint]
            continue
        try:
            graph = graph_of_atoms(potential, atoms)
        except UserError as error:
            rejected[i] = f"impossible geometry: {error.what}"
            continue
        if (problem := distances.problem(graph)) is not None:
            rejected[i] = problem
            continue
        seen[fingerprint] = "is in the pool before"
        graphs[i] = graph
    return rejected, graphs


def graph_of_atoms(potential: Potential | Ensemble, atoms: ase.Atoms) -> Graph:
    """Return the graph of a structure with what the potential asks of it."""
    return graph_from_atoms(atoms, potential.cutoff, inputs=potential.model.inputs)


def _choose(by: By, x: Array, known: Array, spread: Array, *, n: int, seed: int) -> greedy.Choice:
    if by == "both":
        return greedy.by_determinant(x, spread, n)
    if by == "uncertainty":
        return greedy.by_spread(spread, n)
    if by == "diversity":
        return greedy.by_distance(x, known, n)
    return greedy.at_random(len(x), n, seed)


def _distances(x: Array, known: Array, rows: Sequence[int]) -> Array:
    """Return the distance of each chosen row to the nearest known or chosen before, relative."""
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


def _of_pool(values: NDArray, rows: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    found = np.full((n, *values.shape[1:]), np.nan)
    found[rows] = values
    return found


def _none_left(rejected: dict[int, str]) -> UserError:
    first = next(iter(rejected.items()), None)
    example = f" Structure {first[0]}: {first[1]}." if first else ""
    return UserError(
        f"No structure of the pool can be chosen.{example}",
        fix="Give a pool of other structures, all of whose elements the potential knows.",
    )
