"""Random fractions of structures or groups, drawn by hashes so that they persist as data grow.

The hash of a geometry (or of the name of a group) and the seed gives a number between 0 and 1. A
validation set with fraction v has the numbers below v, a test set with fraction t those from v to
v + t, so that the validation set does not depend on whether there is a test set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reann.data.dataset import Dataset
from reann.data.fingerprint import draws
from reann.errors import UserError

ROUNDING = 1e-9
"""Tolerance for the sum of two fractions."""


class Drawing:
    """Draws parts by hashes; drawn structures are removed from the free ones.

    Parameters
    ----------
    free
        (structures,) whether a structure is not part of any set yet; modified by each draw.
    learned
        (structures,) structures that must not be drawn.
    """

    def __init__(
        self, train: Dataset, seed: int, free: NDArray[np.bool_], learned: NDArray[np.bool_]
    ) -> None:
        self._train, self._seed, self._free, self._learned = train, seed, free, learned
        self._taken = {"groups": 0.0, "structures": 0.0}

    def of_groups(self, name: str, fraction: float) -> NDArray[np.int64]:
        """Return the structures of a fraction of the groups."""
        names, group = np.unique(self._train.groups, return_inverse=True)
        group_names(self._train, name)
        eligible = self._free & (names[group] != "") & ~np.isin(group, group[self._learned])
        numbers = draws((str(group_name).encode() for group_name in names), self._seed)[group]
        return self._drawn(name, fraction, numbers, eligible=eligible, kind="groups")

    def of_structures(self, name: str, fraction: float) -> NDArray[np.int64]:
        """Return a fraction of the structures."""
        names = (fingerprint.tobytes() for fingerprint in self._train.fingerprints.astype("<u8"))
        numbers = draws(names, self._seed)
        eligible = self._free & ~self._learned
        return self._drawn(name, fraction, numbers, eligible=eligible, kind="structures")

    def _drawn(
        self,
        name: str,
        fraction: float,
        numbers: NDArray[np.float64],
        *,
        eligible: NDArray[np.bool_],
        kind: str,
    ) -> NDArray[np.int64]:
        """Take the eligible structures whose numbers are in the next interval."""
        low = self._taken[kind]
        self._taken[kind] = high = low + fraction
        if high >= 1.0 - ROUNDING:
            raise UserError(
                f"A fraction of {fraction} for {name} leaves no {kind} for the training set.",
                f"data.{name}",
                "The fractions of valid and test must add up to less than 1.",
            )
        if not self._free.any():
            raise UserError(
                f"No structures are left for {name}.",
                f"data.{name}",
                "Add structures, or make the other parts smaller.",
            )
        if not eligible.any():
            raise UserError(
                f"All remaining {kind} are in the training set of the potential that this run"
                f" starts from, so none can be drawn for {name}.",
                f"data.{name}",
                f"Add new structures, or set data.{name} to a file of them.",
            )
        chosen = eligible & (low <= numbers) & (numbers < high)
        if not chosen.any():
            above = np.where(eligible, (numbers - low) % 1.0, np.inf)
            chosen = above == above.min()
        self._free &= ~chosen
        return np.flatnonzero(chosen)


def group_names(train: Dataset, name: str) -> list[str]:
    """Return the names of the groups; raises `UserError` if there are none."""
    names = sorted({group for group in train.groups if group})
    if not names:
        raise UserError(
            "The structures have no groups.",
            f"data.{name}.groups",
            "Set the key of the groups with data.keys.group, or split by a fraction.",
        )
    return names
