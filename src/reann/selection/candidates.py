"""Candidates of a pool, with their features and spreads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import ase
import numpy as np
from numpy.typing import NDArray

from reann.errors import UserError
from reann.graph import Graph
from reann.potential import Ensemble, Potential
from reann.selection.describe import Spread, batches, features, spreads
from reann.selection.geometry import LARGEST_FORCE, fingerprints_of, identity_of
from reann.selection.known import Known, graph_of


@dataclass
class Candidates:
    """Structures that can be chosen, and the reasons why others cannot."""

    rows: list[int] = field(default_factory=list)
    """Their indices in the pool."""
    features: list[NDArray[np.float64]] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    rejected: dict[int, str] = field(default_factory=dict)
    """Reasons by the index in the pool."""


def candidates_of(
    pool: Sequence[ase.Atoms],
    potential: Potential | Ensemble,
    known: Known,
    progress: Callable[[int], None],
) -> Candidates:
    """Return the candidates of a pool.

    Raises
    ------
    UserError
        If there is none.
    """
    candidates, accepted = Candidates(), list[int]()
    done = 0
    for some in batches(_possible(pool, potential, known, candidates, accepted)):
        rows = accepted[done : done + len(some)]
        done += len(some)
        of_some = zip(
            rows, features(potential.model, some), spreads(known.ensemble, some), strict=True
        )
        for row, x, spread in of_some:
            if spread.force <= LARGEST_FORCE:  # false for NaN, too
                candidates.rows.append(row)
                candidates.features.append(x)
                candidates.spreads.append(spread)
            else:
                size = f"{spread.force:.3g} eV/Å"
                candidates.rejected[row] = f"forces too large: the largest is {size}"
        progress(len(some))
    if not candidates.rows:
        first = next(iter(sorted(candidates.rejected.items())), None)
        example = f" Structure {first[0]}: {first[1]}." if first else ""
        raise UserError(
            f"No structure of the pool can be chosen.{example}",
            fix="Use structures that contain only elements of the potential.",
        )
    return candidates


def _possible(
    pool: Sequence[ase.Atoms],
    potential: Potential | Ensemble,
    known: Known,
    candidates: Candidates,
    accepted: list[int],
) -> Iterator[Graph]:
    """Yield graphs of possible structures; record their indices, and why others are rejected."""
    known_structures = dict.fromkeys(known.identities, "is in the training data")
    prints = fingerprints_of(pool).tolist()
    for i, (atoms, fingerprint) in enumerate(zip(pool, prints, strict=True)):
        unknown = sorted({s for s in atoms.symbols if s not in potential.elements})
        if unknown:
            why = f"elements that the potential does not know: {', '.join(unknown)}"
            candidates.rejected[i] = why
            continue
        try:
            graph = graph_of(potential, atoms)
        except UserError as error:
            candidates.rejected[i] = f"impossible geometry: {error.what}"
            continue
        identity = identity_of(fingerprint, graph)
        if identity in known_structures:
            candidates.rejected[i] = known_structures[identity]
            continue
        if (problem := known.distances.problem(graph)) is not None:
            candidates.rejected[i] = problem
            continue
        known_structures[identity] = "is a duplicate in the pool"
        accepted.append(i)
        yield graph
