"""A periodic structure as the ranks of a domain decomposition see it: local atoms and ghosts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reann.graph import Graph


@dataclass(frozen=True)
class Domain:
    """What one rank has; the rows of ghosts follow those of local atoms."""

    atoms: NDArray[np.int64]
    """(rows,), atom of the structure that a row is, or is an image of."""
    position: NDArray[np.float64]
    """(rows, 3), Å."""
    first: NDArray[np.int64]
    """(local + 1,), where the neighbors of each local atom begin, and the end."""
    neighbor: NDArray[np.int32]
    """Rows."""
    owner: NDArray[np.int32]
    """(ghosts,), row of the atom on the rank that owns it."""
    owner_rank: NDArray[np.int32]
    """(ghosts,)."""

    @property
    def n_local(self) -> int:
        """Number of atoms that the rank owns."""
        return len(self.first) - 1


def decompose(graph: Graph, rank: NDArray[np.int64], n_ranks: int) -> list[Domain]:
    """Return the domains of one structure whose atoms belong to the ranks `rank`."""
    row = np.array([np.sum(rank[:i] == rank[i]) for i in range(len(rank))], np.int32)
    centers, neighbors = graph.edge_index.numpy()
    crossed, positions = graph.edge_shift.numpy(), graph.positions.numpy()
    domains = []
    for r in range(n_ranks):
        local, mine = np.flatnonzero(rank == r), rank[centers] == r
        ghosts: dict[tuple[int, ...], int] = {}
        rows = []
        for j, cells in zip(neighbors[mine], crossed[mine], strict=True):
            if rank[j] == r and not cells.any():
                rows.append(row[j])
            else:
                image = (int(j), *map(int, cells))
                rows.append(ghosts.setdefault(image, len(local) + len(ghosts)))
        images = np.array(list(ghosts), np.int64).reshape(-1, 4)
        atoms = np.concatenate([local, images[:, 0]])
        position = positions[atoms]
        position[len(local) :] += images[:, 1:] @ graph.cell[0].numpy()
        domains.append(
            Domain(
                atoms=atoms,
                position=position,
                first=np.searchsorted(centers[mine], [*local, len(rank)]).astype(np.int64),
                neighbor=np.array(rows, np.int32),
                owner=row[images[:, 0]],
                owner_rank=rank[images[:, 0]].astype(np.int32),
            )
        )
    return domains
