"""A neighbor list with a skin, valid while atoms move little."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
from numpy.typing import NDArray

from reann.data.labels.inputs import InputKeys
from reann.data.neighbors import (
    Neighbors,
    checked_neighbors,
    graph_of,
    neighbors_within,
)
from reann.errors import UserError
from reann.facts import SHORTEST_DISTANCE
from reann.graph import Graph


class SkinList:
    """Pairs up to cutoff plus skin, reused until an atom has moved by half the skin.

    Attributes
    ----------
    n_builds
        Number of times that the list was built.
    pairs
        Neighbors within cutoff plus skin in the structure of the last build.
    """

    pairs: Neighbors

    def __init__(self, cutoff: float, skin: float) -> None:
        if not 0 <= skin < float("inf"):
            raise UserError(f"The skin is {skin} Å.", "Calculator", "Use 0 or more, such as 0.5.")
        self.cutoff, self.skin, self.n_builds = cutoff, skin, 0
        self._made_at: NDArray[np.float64] | None = None
        self._made_for: tuple[bytes, ...] = ()

    def holds(self, atoms: ase.Atoms) -> bool:
        """Whether the list has all neighbors of a structure."""
        if self._made_at is None or self._made_for != _frame(atoms):
            return False
        moved = atoms.arrays["positions"] - self._made_at
        farthest = np.einsum("ix,ix->i", moved, moved).max(initial=0.0)
        # NaN compares as false, so a new list is built, which raises an error with the position.
        return bool(farthest < (0.5 * self.skin) ** 2)

    def build(self, atoms: ase.Atoms) -> None:
        """Build the list; `UserError` for invalid geometry.

        Coincident atoms are detected in the computation, not here.
        """
        self._made_at = None
        reach = self.cutoff + self.skin
        try:
            self.pairs = neighbors_within(atoms.positions, atoms.cell.array, atoms.pbc, reach)
        except ValueError:
            checked_neighbors(atoms, self.cutoff)  # raises an error that names the value
            raise
        self._made_at, self._made_for = atoms.positions.copy(), _frame(atoms)
        self.n_builds += 1

    def graph(self, atoms: ase.Atoms, inputs: InputKeys | Sequence[str] = ()) -> Graph:
        """Return the graph of the structure, with only the pairs inside the cutoff.

        For `inputs` see `graph_from_atoms`.
        """
        if not self.holds(atoms):
            self.build(atoms)
        pairs = self.pairs
        vectors = atoms.positions[pairs.neighbor] - atoms.positions[pairs.center] + pairs.shift
        squared = np.einsum("ex,ex->e", vectors, vectors)
        if squared.min(initial=np.inf) < SHORTEST_DISTANCE**2:
            checked_neighbors(atoms, self.cutoff)  # raises an error that names coincident atoms
        # Pairs in the skin contribute zero; the model is faster without them.
        near = squared < self.cutoff**2
        return graph_of(atoms, pairs.kept(near), inputs)


def _frame(atoms: ase.Atoms) -> tuple[bytes, ...]:
    """Return all data except positions, in a form that is fast to compare."""
    return atoms.arrays["numbers"].tobytes(), atoms.pbc.tobytes(), atoms.cell.array.tobytes()
