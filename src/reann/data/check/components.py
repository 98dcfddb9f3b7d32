"""Order and magnitude of the shear components of stresses: yz, xz and xy.

Programs write the six components in different orders, and some write twice or half the shear. Each
of these possibilities is a hypothesis about the file. Two tests distinguish them: the work of the
shear between close structures, and the stress of pair forces that are fitted to the forces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reann.data.check.finding import MOST_EXAMPLES, Finding

Array = NDArray[np.float64]
Order = tuple[int, int, int]

SHEAR = ("yz", "xz", "xy")
AS_READ: Order = (0, 1, 2)
ORDERS: tuple[Order, ...] = (AS_READ, (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
WRITERS: Mapping[Order, str] = {
    (1, 2, 0): ", the order of VASP",
    (2, 1, 0): ", the order of LAMMPS",
}
SCALES = {2.0: "half of", 0.5: "twice", -1.0: "minus"}
"""Factor that corrects the components, and a description of the values in the file."""
FEWEST_PAIRS, FEWEST_STRUCTURES = 20, 20
EXPLAINED, BETTER, BEST = 0.45, 0.6, 1.3
"""Maximum fraction of the energy changes left unexplained; the same for the best other hypothesis
relative to the components as read, if those are wrong (maximum) and if they are right (minimum)."""
CLEAR, UNRELATED = 0.6, 0.3
"""Correlation with fitted stresses that confirms an order, and that rules one out."""
PARALLEL, FEWEST_IN_PART, PART, OUTNUMBER = 0.9, 6, 0.15, 3
"""Minimum cosine for a single structure; number of such structures, their fraction, and their ratio
to those of any other order, from which part of the structures have that order."""
FIX = (
    "Write the stress as nine numbers, or as six in the order xx yy zz yz xz xy, without factors "
    "(some programs double shear strains, but a shear stress is not doubled)."
)


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis about the components in the file: their order, or a factor."""

    order: Order
    """Position of each of yz, xz and xy."""
    scale: float

    def words(self) -> str:
        """Describe the values that the file has for yz, xz and xy."""
        if self.order == AS_READ:
            return f"they look like {SCALES[self.scale]} the correct values"
        present_keys = " ".join(SHEAR[self.order.index(position)] for position in range(3))
        return f"they look like {present_keys} instead of yz xz xy{WRITERS.get(self.order, '')}"


ALTERNATIVES = [
    *(Hypothesis(order, 1.0) for order in ORDERS if order != AS_READ),
    *(Hypothesis(AS_READ, scale) for scale in SCALES),
]
HYPOTHESES = [Hypothesis(AS_READ, 1.0), *ALTERNATIVES]


def by_work(shear_change: Array, products: Array) -> Finding | None:
    """Check the shear by its work between close structures.

    Parameters
    ----------
    shear_change
        (pairs,) energy change minus the work of forces and diagonal stresses, eV.
    products
        (pairs, 3, 3) work of each component of the strain with each of the stress, eV.

    Returns
    -------
    Finding
        An error, or a note that the components are correct; None if neither is certain.
    """
    total = float(np.linalg.norm(shear_change))
    if len(shear_change) < FEWEST_PAIRS or total == 0.0:
        return None
    left = {a: float(np.linalg.norm(shear_change - _work(products, a))) / total for a in HYPOTHESES}
    as_read = left[HYPOTHESES[0]]
    best = min(ALTERNATIVES, key=lambda a: left[a])
    count = f"{len(shear_change)} pairs of close structures"
    if left[best] < min(EXPLAINED, BETTER * as_read):
        return wrong(f"by the energies of {count}, {best.words()}")
    if as_read < EXPLAINED and left[best] > BEST * as_read:
        what = f"order and size of the shear stresses agree with the energies ({count})"
        return Finding("stress-components", "note", what, "No action is needed.")
    return None


def by_fit(labels: Array, fitted: Array, origins: list[str]) -> Finding | None:
    """Check order and sign of the shear by the stresses of fitted pair forces.

    The magnitude is not checked, as pair forces can be wrong by a factor of two.

    Parameters
    ----------
    labels, fitted
        (structures, 6) differences of diagonal components and yz xz xy, without their means.
    origins
        `file#index` of the structures.
    """
    if len(labels) < FEWEST_STRUCTURES:
        return None
    diagonal = similarity(labels[:, :3], fitted[:, :3])
    labels, fitted = labels[:, 3:], fitted[:, 3:]
    in_part = _in_part(labels, fitted, origins)
    if in_part is not None:
        return in_part
    scores = {order: similarity(labels[:, order], fitted) for order in ORDERS}
    best = max(scores, key=lambda order: scores[order])
    compared = f"stresses of pair forces fitted to the forces of {len(labels)} structures"
    moved = [k for k in AS_READ if best[k] != k]
    as_read = similarity(labels[:, moved], fitted[:, moved]) if moved else 1.0
    if as_read < UNRELATED and scores[best] > CLEAR:
        why = f"by the {compared}, {Hypothesis(best, 1.0).words()}"
        return wrong(f"{why} (correlation {scores[best]:.2f}, as read {scores[AS_READ]:.2f})")
    if scores[AS_READ] < -CLEAR and diagonal > UNRELATED:
        why = f"by the {compared}, {Hypothesis(AS_READ, -1.0).words()}"
        return wrong(f"{why} (correlation {scores[AS_READ]:.2f})")
    if best == AS_READ and scores[best] > CLEAR:
        return Finding(
            "stress-components",
            "note",
            f"the order of the shear stresses agrees with the {compared} (correlation "
            f"{scores[best]:.2f}); a factor of two could not be excluded",
            "Compare one structure with the output of the program.",
        )
    return None


def _in_part(labels: Array, fitted: Array, origins: list[str]) -> Finding | None:
    """Return a warning if part of the structures have the components in another order."""
    norms = np.linalg.norm(labels, axis=1) * np.linalg.norm(fitted, axis=1)
    known = norms > 0.0
    cosines = {
        order: np.sum(labels[:, order] * fitted, axis=1) / np.where(known, norms, 1.0)
        for order in ORDERS
    }
    in_order = {
        order: known & (cosines[order] > PARALLEL) & (cosines[AS_READ] < UNRELATED)
        for order in ORDERS
        if order != AS_READ
    }
    counts = {order: int(mask.sum()) for order, mask in in_order.items()}
    best, second = sorted(counts, key=lambda order: counts[order])[:-3:-1]
    others = int((known & (cosines[AS_READ] > PARALLEL)).sum())
    if counts[best] < max(FEWEST_IN_PART, PART * len(labels), OUTNUMBER * counts[second]):
        return None
    if others < max(FEWEST_IN_PART, PART * len(labels)):
        return None  # not in part, but in all
    examples = tuple(origins[int(i)] for i in np.flatnonzero(in_order[best])[:MOST_EXAMPLES])
    return Finding(
        "stress-components",
        "warning",
        f"the shear stresses of {counts[best]} of {len(labels)} structures are in another order "
        f"than those of the others, judged by pair forces fitted to the forces: "
        f"{Hypothesis(best, 1.0).words()}",
        FIX,
        counts[best],
        examples,
    )


def not_checkable() -> Finding:
    """Return the note that neither test was conclusive."""
    return Finding(
        "stress-components",
        "note",
        "order and size of the shear stresses could not be checked with these structures",
        "Six numbers are read as xx yy zz yz xz xy; VASP writes xx yy zz xy yz zx.",
    )


def similarity(a: Array, b: Array) -> float:
    """Return the correlation of two sets of vectors (structures, n), with limited lengths."""
    a, b = _limited(a), _limited(b)
    norm = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
    return float(np.sum(a * b)) / norm if norm else 0.0


def wrong(why: str) -> Finding:
    """Return the error that the shear components are wrong."""
    return Finding("stress-components", "error", f"the shear stresses are wrong: {why}", FIX)


def _limited(vectors: Array) -> Array:
    """Shorten the vectors that are longer than most."""
    length = np.linalg.norm(vectors, axis=1)
    return vectors / np.maximum(length, max(np.median(length), 1e-12))[:, None]


def _work(products: Array, hypothesis: Hypothesis) -> Array:
    chosen = products[:, list(AS_READ), list(hypothesis.order)]
    return hypothesis.scale * chosen.sum(axis=1)
