"""torch-sim: many systems at once, with a potential as its model.

import torch_sim as ts
from reann.interfaces.torchsim import Model

ts.integrate(systems, Model("water.reann"), integrator=ts.Integrator.nvt_langevin, ...)
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch
from torch import Tensor
from torch_sim.models.interface import ModelInterface

from reann.data.neighbors import graph_from_atoms
from reann.device import device_named
from reann.graph import Graph
from reann.interfaces.beyond import require_neighbors_alone
from reann.potential import Ensemble, Potential, load


class Model(ModelInterface):
    """A potential, or the mean of an ensemble, as a model of torch-sim.

    Parameters
    ----------
    potential
        Or its file. A potential that is elsewhere than `device` is copied, never moved.
    device
        `auto`, `cpu` or `cuda`; on the CPU the native engine computes.
    dtype
        Of what torch-sim gives and gets; the potential has its own precision.
    compute_stress
        Whether stresses are computed: zero where a structure is not periodic everywhere.
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
            potential = copy.deepcopy(potential)  # the given one stays where it is
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
        graph = Graph.batch([graph_from_atoms(a, self.potential.cutoff) for a in _systems(state)])
        periodic = bool(graph.pbc.all())
        names = ["energy", "forces", *(["stress"] if self._compute_stress and periodic else [])]
        found = self.potential.evaluate(graph.to(self._device), names)
        if self._compute_stress and not periodic:
            found["stress"] = torch.zeros(graph.n_systems, 3, 3, device=self._device)
        return {name: x.detach().to(self._dtype) for name, x in found.items()}


def _systems(state: Any) -> list[ase.Atoms]:
    """Return the structures of a state, whose cells have their vectors as columns."""
    cells = state.row_vector_cell.detach().cpu().double().numpy()
    system = state.system_idx.cpu()
    positions = state.positions.detach().cpu().double()
    numbers = state.atomic_numbers.cpu()
    pbc = np.broadcast_to(torch.as_tensor(state.pbc).cpu().numpy(), 3)  # one for all, or three
    return [
        ase.Atoms(numbers[system == s].numpy(), positions[system == s].numpy(), cell=cell, pbc=pbc)
        for s, cell in enumerate(cells)
    ]
