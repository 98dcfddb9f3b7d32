"""torch-sim: batched simulations with a potential as the model.

import torch_sim as ts
from reann.interfaces.torchsim import Model

ts.integrate(systems, Model("water.reann"), integrator=ts.integrators.nvt_langevin, ...)
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_sim.models.interface import ModelInterface

from reann.data.cell_list import Grid, cell_list
from reann.device import device_named
from reann.errors import UserError
from reann.facts import SHORTEST_DISTANCE
from reann.graph import Graph
from reann.interfaces.beyond import require_neighbors_alone
from reann.potential import Ensemble, Potential, load


class Model(ModelInterface):
    """A potential, or the mean of an ensemble, as a model of torch-sim.

    Parameters
    ----------
    potential
        A potential or its file. A potential on another device than `device` is copied, never moved.
    device
        `auto`, `cpu` or `cuda`; on the CPU the native engine computes.
    dtype
        Precision of the arrays of torch-sim; the potential keeps its own.
    compute_stress
        Whether stresses are computed; zero if a structure is not periodic in three dimensions.
    """

    def __init__(
        self,
        potential: Potential | Ensemble | str | Path,
        device: str | torch.device = "auto",
        dtype: torch.dtype = torch.float64,
        *,
        compute_stress: bool = True,
    ) -> None:
        super().__init__()
        self._device = device_named(str(device))
        if isinstance(potential, str | Path):
            potential = load(potential)
        elif potential.device != self._device:
            potential = copy.deepcopy(potential)  # the caller's potential is not moved
        if potential.model.config.inputs:
            require_neighbors_alone(potential.model, "torch-sim")
        self.potential = potential.to(self._device)
        self._dtype, self._compute_stress, self._compute_forces = dtype, compute_stress, True

    def forward(self, state: Any, **_: Any) -> dict[str, Tensor]:
        """Return energies in eV, forces in eV/Å and stresses in eV/Å^3 of all systems."""
        if isinstance(state, dict):
            from torch_sim.state import SimState

            ones = torch.ones_like(state["positions"][:, 0])
            state = SimState(**{"masses": ones, **state})
        graph = self._graph(state)
        periodic = bool(graph.pbc.all())
        names = ["energy", "forces", *(["stress"] if self._compute_stress and periodic else [])]
        results = self.potential.evaluate(graph, names)
        if self._compute_stress and not periodic:
            results["stress"] = torch.zeros(graph.n_systems, 3, 3, device=self._device)
        return {name: x.detach().to(self._dtype) for name, x in results.items()}

    def _graph(self, state: Any) -> Graph:
        """Return the systems of a state, with neighbor lists made on the device."""
        system = state.system_idx.to(self._device, torch.int64)
        # The cells of a state have their vectors as columns; pbc is one for all, or three.
        cells = state.row_vector_cell.detach().to("cpu", torch.float64)
        pbc = torch.as_tensor(state.pbc).cpu().expand(len(cells), 3)
        grid = Grid.of(cells.numpy(), pbc.numpy(), self.potential.cutoff, self._device)
        positions = state.positions.detach().to(self._device, torch.float64)
        pairs = cell_list(positions, system, grid)
        graph = Graph(
            positions=positions,
            atomic_numbers=state.atomic_numbers.to(self._device, torch.int64),
            system=system,
            cell=cells.to(self._device),
            pbc=pbc.to(self._device),
            first=pairs.first,
            neighbor=pairs.neighbor,
            edge_shift=pairs.shift,
        )
        check_distances(graph)
        return graph


def check_distances(graph: Graph) -> None:
    """Raise `UserError` for positions that are not finite, and for atoms that coincide."""
    if bool(graph.positions.isfinite().all()):
        squared = graph.edge_vectors().square().sum(1)
        if not len(squared) or float(squared.amin()) >= SHORTEST_DISTANCE**2:
            return
    raise UserError(
        "Atoms coincide, or a position is not finite.",
        "state of torch-sim",
        "Relax the structure first, or use a shorter time step.",
    )
