"""Positions and cells of structures with the variables of derivatives: moved atoms, and a strain.

r -> r (1 + strain),   cell -> cell (1 + strain)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reann.graph import Graph


class Strained(NamedTuple):
    """Variables with respect to which the energies of whole structures are differentiated."""

    moved: Float[Tensor, "atoms 3"]
    """Positions, Å."""
    strain: Float[Tensor, "systems 3 3"]
    """Zero."""
    positions: Float[Tensor, "atoms 3"]
    """Å, functions of both."""
    cell: Float[Tensor, "systems 3 3"]
    """Å."""

    @classmethod
    def of(cls, graph: Graph, *, derivatives: bool, strain: bool, is_variable: bool) -> Strained:
        """Return the structures of a graph.

        Parameters
        ----------
        derivatives
            Whether anything is differentiated.
        strain
            Whether the strain is a variable, too.
        is_variable
            Whether positions and cells of the graph are themselves variables of the caller.
        """
        with torch.set_grad_enabled(derivatives or is_variable):
            if is_variable:
                moved, cell = graph.positions.clone(), graph.cell
            else:
                moved, cell = graph.positions.detach().clone(), graph.cell.detach()
                moved.requires_grad_(derivatives)
            zero = torch.zeros_like(graph.cell)
            if not strain:
                return cls(moved, zero, moved, cell)
            zero.requires_grad_(derivatives)
            stretch = torch.einsum("ax,axy->ay", moved, zero[graph.system])
            return cls(moved, zero, moved + stretch, cell + cell @ zero)
