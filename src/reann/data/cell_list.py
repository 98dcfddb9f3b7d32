"""Neighbor lists in PyTorch operations: on any device, for several systems at once.

Space is divided into bins that are at least as wide as the cutoff. Neighbors of an atom are
searched in its bin and in the surrounding bins; if a cell is thinner than the cutoff, in several
images of the cell. Along directions without a lattice vector, wide gaps between atoms are removed
first, as in `reann.data.neighbors`, so that distant atoms need no empty bins. Distances are
computed from the original positions.

Only the sizes of arrays are transferred from the device: once the number of compared pairs, and
once the number of neighbors for each `PART` compared pairs.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from reann.data.neighbors import free_directions

SLACK = 1.0 + 1e-6
"""Width of a bin over the cutoff; above one because fractions are rounded."""
PART = 2**24
"""Number of pairs that are compared at once; each needs about 200 bytes."""
BLOCK = 4096
"""Number of atoms whose pairs are counted together."""


class Grid(NamedTuple):
    """The bins of systems with given cells."""

    lattice: Float[Tensor, "systems 3 3"]
    """Lattice vectors as rows, Å; zero along directions that are not periodic."""
    inverse: Float[Tensor, "systems 3 3"]
    """Matrix from positions to fractions of lattice vectors, or to Å along other directions."""
    periodic: Bool[Tensor, "systems 3"]
    n_bins: Int[Tensor, "systems 3"]
    """Number of bins along a lattice vector; one along other directions, where it depends on the
    positions."""
    offsets: Int[Tensor, "offsets 3"]
    """Offsets to the surrounding bins, in which neighbors may be."""
    cutoff: float
    """Å."""
    packs: list[int]
    """Directions along which at least one system is not periodic."""

    @classmethod
    def of(
        cls, cells: NDArray, pbc: NDArray, cutoff: float, device: torch.device | str = "cpu"
    ) -> Grid:
        """Return the bins of systems.

        Parameters
        ----------
        cells, pbc
            (systems, 3, 3) in Å, and (systems, 3).
        cutoff
            Å.

        Raises
        ------
        UserError
            If a periodic lattice vector is zero or the periodic vectors are linearly dependent.
        """
        boxes = np.array(cells, dtype=np.float64).reshape(-1, 3, 3)
        periodic = np.array(pbc, dtype=bool).reshape(-1, 3)
        lattice = np.where(periodic[:, :, None], boxes, 0.0)
        for box, axes in zip(boxes, periodic, strict=True):
            box[~axes] = free_directions(box, axes)
        inverse = np.linalg.inv(boxes)
        heights = 1.0 / np.linalg.norm(inverse, axis=1)
        n_bins = np.where(periodic, np.maximum(np.floor(heights / (SLACK * cutoff)), 1.0), 1.0)
        images = np.where(periodic, np.ceil(SLACK * cutoff * n_bins / heights), 1.0)
        reach = images.max(axis=0).astype(int)
        offsets = list(product(*(range(-n, n + 1) for n in reach)))

        def tensor(array: NDArray) -> Tensor:
            return torch.from_numpy(array).to(device)

        return cls(
            tensor(lattice),
            tensor(inverse),
            tensor(periodic),
            tensor(n_bins.astype(np.int64)),
            tensor(np.array(offsets)),
            cutoff,
            np.flatnonzero(~periodic.all(axis=0)).tolist(),
        )


class Pairs(NamedTuple):
    """Neighbors of all atoms, in the layout of `reann.graph.Graph`."""

    first: Int[Tensor, " atoms_and_end"]
    neighbor: Int[Tensor, " edges"]
    shift: Int[Tensor, "edges 3"]
    """Number of cells crossed from center to neighbor."""


class BinnedAtoms(NamedTuple):
    """Bins of atoms.

    Attributes
    ----------
    system
        Index of the system of each atom.
    """

    system: Int[Tensor, " atoms"]
    bins: Int[Tensor, "atoms 3"]
    crossed: Int[Tensor, "atoms 3"]
    """Number of cells by which each atom is outside its cell."""
    size: Int[Tensor, "3"]
    """Number of bins along each direction, the largest of all systems."""

    def keys(self, bins: Int[Tensor, "... 3"], system: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """Return one number for each bin of each system."""
        x, y, z = bins.unbind(-1)
        _, n_y, n_z = self.size.unbind()
        return ((system * self.size[0] + x) * n_y + y) * n_z + z


def cell_list(
    positions: Float[Tensor, "atoms 3"], system: Int[Tensor, " atoms"], grid: Grid
) -> Pairs:
    """Return all pairs closer than the cutoff, in both directions.

    Parameters
    ----------
    positions
        Å, float64; atoms may lie outside of their cells.
    system
        Index of the system of each atom, ascending.
    """
    n_atoms = len(positions)
    if n_atoms == 0:
        empty = system.new_zeros(0, dtype=torch.int32)
        return Pairs(system.new_zeros(1), empty, empty.new_zeros(0, 3))
    binned_atoms = binned(positions, system, grid)
    keys, order = torch.sort(binned_atoms.keys(binned_atoms.bins, system), stable=True)
    blocks = [slice(i, min(i + BLOCK, n_atoms)) for i in range(0, n_atoms, BLOCK)]
    compared_of_blocks = [candidates(binned_atoms, grid, keys, block) for block in blocks]
    totals = torch.stack([n.sum() for _, n, _ in compared_of_blocks]).tolist()
    parts = [
        close_pairs(positions, grid, binned_atoms, order, (of_part, total))
        for of_part, total in joined(blocks, compared_of_blocks, totals)
    ]
    counts, neighbor, shift = (torch.cat(x) for x in zip(*parts, strict=True))
    first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return Pairs(first, neighbor, shift)


def binned(positions: Tensor, system: Tensor, grid: Grid) -> BinnedAtoms:
    """Return the bins of all atoms."""
    along = torch.einsum("ax,axf->af", positions, grid.inverse[system])
    periodic, n_bins = grid.periodic[system], grid.n_bins[system]
    crossed = torch.where(periodic, along.floor(), 0.0)
    inside = torch.minimum(((along - crossed) * n_bins).floor().to(torch.int64), n_bins - 1)
    width = SLACK * grid.cutoff
    free = [
        (packed(along[:, x], system, width) / width).floor().to(torch.int64)
        if x in grid.packs
        else inside[:, x]
        for x in range(3)
    ]
    bins = torch.where(periodic, inside, torch.stack(free, dim=1))
    size = torch.maximum(bins.amax(0) + 1, grid.n_bins.amax(0))
    return BinnedAtoms(system, bins, crossed.to(torch.int64), size)


def packed(along: Tensor, system: Tensor, width: float) -> Float[Tensor, " atoms"]:
    """Return coordinates relative to the lowest of each system, with wide gaps shortened."""
    order = torch.argsort(along)
    order = order[torch.argsort(system[order], stable=True)]
    gaps = torch.zeros_like(along)
    gaps[1:] = along[order].diff().clamp(0.0, 1.1 * width)
    ordered = gaps.cumsum(0)
    start = ordered[torch.searchsorted(system, system)]
    return torch.empty_like(along).index_copy_(0, order, ordered - start)


def candidates(
    binned_atoms: BinnedAtoms, grid: Grid, keys: Tensor, block: slice
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the candidates for neighbors of a block of atoms.

    Returns
    -------
    low, number
        Index of the first candidate in the order of the keys, and number of candidates in each
        surrounding bin, (atoms, offsets).
    image
        Number of cells crossed to each bin, (atoms, offsets, 3).
    """
    system = binned_atoms.system[block]
    periodic, n_bins = grid.periodic[system, None], grid.n_bins[system, None]
    target = binned_atoms.bins[block, None] + grid.offsets
    image = torch.where(periodic, torch.div(target, n_bins, rounding_mode="floor"), 0)
    target = target - image * n_bins
    key = binned_atoms.keys(target, system[:, None])
    low = torch.searchsorted(keys, key)
    high = torch.searchsorted(keys, key, right=True)
    is_bin = ((target >= 0) & (target < binned_atoms.size)).all(-1)
    return low, torch.where(is_bin, high - low, 0), image.to(torch.int32)


class Part(NamedTuple):
    """Atoms that are computed together, with their candidates."""

    atoms: slice
    low: Tensor
    number: Tensor
    image: Tensor


def joined(
    blocks: list[slice], compared_of_blocks: list[tuple[Tensor, Tensor, Tensor]], totals: list[int]
) -> list[tuple[Part, int]]:
    """Join blocks to parts of at most `PART` pairs; return them with their numbers of pairs."""
    groups: list[list[int]] = []
    size = 0
    for i, total in enumerate(totals):
        if not groups or size + total > PART:
            groups.append([])
            size = 0
        groups[-1].append(i)
        size += total
    parts = []
    for group in groups:
        tensors = (torch.cat(x) for x in zip(*(compared_of_blocks[i] for i in group), strict=True))
        atoms = slice(blocks[group[0]].start, blocks[group[-1]].stop)
        parts.append((Part(atoms, *tensors), sum(totals[i] for i in group)))
    return parts


def close_pairs(
    positions: Tensor,
    grid: Grid,
    binned_atoms: BinnedAtoms,
    order: Tensor,
    compared: tuple[Part, int],
) -> tuple[Int[Tensor, " atoms"], Int[Tensor, " edges"], Int[Tensor, "edges 3"]]:
    """Return the numbers of neighbors of the atoms of a part, the neighbors, and their shifts.

    `order` contains the atoms in the order of their keys; `compared` is a part with its number of
    pairs.
    """
    part, total = compared
    n_offsets = len(grid.offsets)
    number = part.number.flatten()
    offset = torch.arange(len(number), device=number.device)
    offset = offset.repeat_interleave(number, output_size=total)
    before = (number.cumsum(0) - number)[offset]
    at = torch.arange(total, device=number.device) - before
    j = order[part.low.flatten()[offset] + at]
    of_part = offset // n_offsets
    i = of_part + part.atoms.start
    image = part.image.flatten(0, 1)[offset]
    shift = image + (binned_atoms.crossed[i] - binned_atoms.crossed[j]).to(torch.int32)
    crossed = torch.einsum(
        "es,esx->ex", shift.to(positions.dtype), grid.lattice[binned_atoms.system[i]]
    )
    squared = (positions[j] - positions[i] + crossed).square().sum(1)
    is_itself = (i == j) & (image == 0).all(1)
    near = torch.nonzero((squared < grid.cutoff**2) & ~is_itself)[:, 0]
    n_atoms = part.low.shape[0]
    counts = torch.zeros(n_atoms, dtype=torch.int64, device=number.device)
    counts.index_add_(0, of_part[near], torch.ones_like(near))
    return counts, j[near].to(torch.int32), shift[near]
