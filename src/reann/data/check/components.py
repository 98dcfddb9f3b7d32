"""The order and the size of the shear components of stresses: yz, xz and xy.

Programs write six components in different orders, and some write twice or half the shear. Each such
mistake is an assumption about what the file holds. Two tests tell the assumptions apart: the work
that the shear does between close structures, and the stress of pair forces that are fitted to the
forces.
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
"""What the components must be multiplied by, and what the file then holds of them."""
FEWEST_PAIRS, FEWEST_STRUCTURES = 20, 20
EXPLAINED, BETTER, BEST = 0.45, 0.6, 1.3
"""What the work leaves of the energies, at most; what another assumption leaves of that of the
components as they are read, where those are wrong, and where they are right."""
CLEAR, UNRELATED = 0.6, 0.3
"""Correlation with the fitted stresses that proves an order, and that refutes one."""
PARALLEL, FEWEST_IN_PART, PART, OUTNUMBER = 0.9, 6, 0.15, 3
"""Least cosine of a single structure; how many of one order, which part of all, and how many times
those of any other order show that part of the structures have that order."""
FIX = (
    "Write the stress as nine numbers, or as six in the order xx yy zz yz xz xy, each component "
    "once and as it is (a shear strain may be doubled, a shear stress is not)."
)


@dataclass(frozen=True)
class Assumption:
    """What the file may hold: components in some order, or a multiple of them."""

    order: Order
    """Place at which each of yz, xz and xy is found."""
    scale: float

    def words(self) -> str:
        """Say what the file holds in the places of yz, xz and xy."""
        if self.order == AS_READ:
            return f"they look like {SCALES[self.scale]} the right ones"
        held = " ".join(SHEAR[self.order.index(place)] for place in range(3))
        return f"they look like {held} where yz xz xy are read{WRITERS.get(self.order, '')}"


OTHERS = [
    *(Assumption(order, 1.0) for order in ORDERS if order != AS_READ),
    *(Assumption(AS_READ, scale) for scale in SCALES),
]
EVERY = [Assumption(AS_READ, 1.0), *OTHERS]


def by_work(shear_change: Array, products: Array) -> Finding | None:
    """Judge the shear by its work between close structures.

    Parameters
    ----------
    shear_change
        (pairs,) change of the energy without the work of forces and diagonal stresses, eV.
    products
        (pairs, 3, 3) work of each component of the strain with each of the stress, eV.

    Returns
    -------
    Finding
        An error or the note that all is well; None when neither is certain.
    """
    total = float(np.linalg.norm(shear_change))
    if len(shear_change) < FEWEST_PAIRS or total == 0.0:
        return None
    left = {a: float(np.linalg.norm(shear_change - _work(products, a))) / total for a in EVERY}
    as_read = left[EVERY[0]]
    best = min(OTHERS, key=lambda a: left[a])
    count = f"{len(shear_change)} pairs of close structures"
    if left[best] < min(EXPLAINED, BETTER * as_read):
        return wrong(f"by the energies of {count}, {best.words()}")
    if as_read < EXPLAINED and left[best] > BEST * as_read:
        why = f"have the order and the size that the energies say ({count})"
        return Finding("stress-components", "note", f"the shear stresses {why}", "Nothing to do.")
    return None


def by_fit(given: Array, fitted: Array, origins: list[str]) -> Finding | None:
    """Judge the order and the sign of the shear by stresses of fitted pair forces.

    The size is not judged: pair forces can be wrong by a factor of two.

    Parameters
    ----------
    given, fitted
        (structures, 6) differences of diagonal components and yz xz xy, without their means.
    origins
        Of the structures.
    """
    if len(given) < FEWEST_STRUCTURES:
        return None
    diagonal = similarity(given[:, :3], fitted[:, :3])
    given, fitted = given[:, 3:], fitted[:, 3:]
    in_part = _in_part(given, fitted, origins)
    if in_part is not None:
        return in_part
    scores = {order: similarity(given[:, order], fitted) for order in ORDERS}
    best = max(scores, key=lambda order: scores[order])
    compared = f"stresses of pair forces that were fitted to the forces of {len(given)} structures"
    moved = [k for k in AS_READ if best[k] != k]
    as_read = similarity(given[:, moved], fitted[:, moved]) if moved else 1.0
    if as_read < UNRELATED and scores[best] > CLEAR:
        why = f"by the {compared}, {Assumption(best, 1.0).words()}"
        return wrong(f"{why} (correlation {scores[best]:.2f}, as read {scores[AS_READ]:.2f})")
    if scores[AS_READ] < -CLEAR and diagonal > UNRELATED:
        why = f"by the {compared}, {Assumption(AS_READ, -1.0).words()}"
        return wrong(f"{why} (correlation {scores[AS_READ]:.2f})")
    if best == AS_READ and scores[best] > CLEAR:
        return Finding(
            "stress-components",
            "note",
            f"the shear stresses have the order that the {compared} have (correlation "
            f"{scores[best]:.2f}); that they are not twice or half as large is not verified",
            "Compare one structure with the output of the program.",
        )
    return None


def _in_part(given: Array, fitted: Array, origins: list[str]) -> Finding | None:
    """Return the warning that part of the structures have the components in another order."""
    norms = np.linalg.norm(given, axis=1) * np.linalg.norm(fitted, axis=1)
    known = norms > 0.0
    cosines = {
        order: np.sum(given[:, order] * fitted, axis=1) / np.where(known, norms, 1.0)
        for order in ORDERS
    }
    only = {
        order: known & (cosines[order] > PARALLEL) & (cosines[AS_READ] < UNRELATED)
        for order in ORDERS
        if order != AS_READ
    }
    counts = {order: int(mask.sum()) for order, mask in only.items()}
    best, second = sorted(counts, key=lambda order: counts[order])[:-3:-1]
    others = int((known & (cosines[AS_READ] > PARALLEL)).sum())
    if counts[best] < max(FEWEST_IN_PART, PART * len(given), OUTNUMBER * counts[second]):
        return None
    if others < max(FEWEST_IN_PART, PART * len(given)):
        return None  # not in part, but in all
    examples = tuple(origins[int(i)] for i in np.flatnonzero(only[best])[:MOST_EXAMPLES])
    return Finding(
        "stress-components",
        "warning",
        f"the shear stresses of {counts[best]} of {len(given)} structures are, by the stresses of "
        f"pair forces that were fitted to the forces, in another order than those of the others: "
        f"{Assumption(best, 1.0).words()}",
        FIX,
        counts[best],
        examples,
    )


def not_checkable() -> Finding:
    """Say that neither test decided."""
    return Finding(
        "stress-components",
        "note",
        "the order and the size of the shear stresses are not verified: the structures do not "
        "tell them apart",
        "Six numbers are read as xx yy zz yz xz xy; VASP writes xx yy zz xy yz zx.",
    )


def similarity(one: Array, other: Array) -> float:
    """Return the correlation of two sets of vectors (structures, n); none counts much more."""
    one, other = _limited(one), _limited(other)
    norm = float(np.sqrt(np.sum(one**2) * np.sum(other**2)))
    return float(np.sum(one * other)) / norm if norm else 0.0


def wrong(why: str) -> Finding:
    """Return the error about shear components."""
    return Finding("stress-components", "error", f"the shear stresses are wrong: {why}", FIX)


def _limited(vectors: Array) -> Array:
    """Shorten the vectors that are longer than most."""
    length = np.linalg.norm(vectors, axis=1)
    return vectors / np.maximum(length, max(np.median(length), 1e-12))[:, None]


def _work(products: Array, assumption: Assumption) -> Array:
    chosen = products[:, list(AS_READ), list(assumption.order)]
    return assumption.scale * chosen.sum(axis=1)
