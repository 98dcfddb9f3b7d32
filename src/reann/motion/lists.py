"""A neighbor list with a skin on a device, and the displacements since it was built."""

from __future__ import annotations

from dataclasses import replace

import torch

from reann.data.cell_list import Grid, Pairs, cell_list
from reann.graph import Graph

SPARE = 1.1
"""Memory of fixed lists, relative to the number of neighbors in the first list."""


class SkinPairs:
    """Pairs within the cutoff plus a skin, for moving structures.

    Attributes
    ----------
    positions
        Positions of the atoms; the dynamics changes this tensor in place.
    graph
        Graph with these positions and the pairs of the last list.
    farthest
        Square of the largest displacement of an atom since then, Å^2, (), in all calls of `look`.
    n_builds
        Number of lists that were built.
    """

    def __init__(self, graph: Graph, cutoff: float, skin: float, *, fixed: bool = False) -> None:
        """Create the list for a graph, whose pairs are not used.

        Parameters
        ----------
        cutoff, skin
            Å.
        fixed
            Whether lists have a fixed address in memory, with space for more neighbors. This is for
            the Triton engine, which reads only the pairs of the atoms and does not need the largest
            number of neighbors.
        """
        self.skin, self.fixed, self.n_builds = skin, fixed, 0
        device = graph.positions.device
        self.grid = Grid.of(
            graph.cell.cpu().numpy(), graph.pbc.cpu().numpy(), cutoff + skin, device
        )
        self.positions = graph.positions.clone()
        self.made_at = torch.empty_like(self.positions)
        self.farthest = self.positions.new_zeros(())
        self.sizes, self.graph = graph.sizes, replace(graph, positions=self.positions)
        self.moved_in_memory = False
        self.build()

    def build(self) -> None:
        """Build the list for the present positions; this transfers sizes from the device."""
        pairs = cell_list(self.positions, self.graph.system, self.grid)
        if self.fixed:
            pairs = self._in_place(pairs)
        self.graph = replace(
            self.graph, first=pairs.first, neighbor=pairs.neighbor, edge_shift=pairs.shift
        )
        most = self.sizes.most_neighbors if self.fixed else int(pairs.first.diff().amax())
        self.graph.__dict__["sizes"] = self.sizes._replace(most_neighbors=most)
        self.made_at.copy_(self.positions)
        self.farthest.zero_()
        self.n_builds += 1

    def look(self) -> None:
        """Update the largest displacement, without a transfer from the device."""
        moved = (self.positions - self.made_at).square().sum(1).amax()
        torch.maximum(self.farthest, moved, out=self.farthest)

    def _in_place(self, pairs: Pairs) -> Pairs:
        """Return the pairs in the memory of the previous list, or in larger memory."""
        n_edges, graph = len(pairs.neighbor), self.graph
        self.moved_in_memory = self.n_builds == 0 or len(graph.neighbor) < n_edges
        if self.moved_in_memory:
            capacity = int(SPARE * n_edges) + 64
            neighbor = pairs.neighbor.new_zeros(capacity)
            shift = pairs.shift.new_zeros(capacity, 3)
            first = pairs.first.clone()
        else:
            first, neighbor, shift = graph.first, graph.neighbor, graph.edge_shift
            first.copy_(pairs.first)
        neighbor[:n_edges].copy_(pairs.neighbor)
        shift[:n_edges].copy_(pairs.shift)
        return Pairs(first, neighbor, shift)
