"""What computes a step of the calculator: the native engine, or the PyTorch reference.

Both are called with a structure and a list that holds for it, and return ASE's results.
"""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
import torch
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from reann import native
from reann.data.neighbors import checked_neighbor_list
from reann.engines.skin import SkinList
from reann.native.engine import refused
from reann.native.system import System
from reann.native.weights import Compiled
from reann.potential import Ensemble, Potential
from reann.quantities import named

Results = dict[str, Any]


class Reference:
    """The PyTorch engine, on the device of the potential."""

    def __init__(self, potential: Potential | Ensemble) -> None:
        self.potential = potential

    def __call__(self, atoms: ase.Atoms, neighbors: SkinList) -> Results:
        """Return energy, energies, forces, and stress where it is defined."""
        names = ["energy", "energies", "forces", *(["stress"] if atoms.pbc.all() else [])]
        graph = neighbors.graph(atoms).to(self.potential.device)
        found = self.potential.evaluate(graph, names, engine="torch")
        return {name: _as_ase(name, x.detach().cpu().numpy()) for name, x in found.items()}


class Native:
    """The native engine: one call for each member, without PyTorch, with the whole skin list.

    The engine leaves out pairs beyond the cutoff exactly. What depends on the list alone is kept
    until the list is made anew.
    """

    def __init__(self, potential: Potential | Ensemble) -> None:
        # A copy: PyTorch moves the memory of a tensor when the potential is sent to a process.
        self.element_index = potential.model.element_index.numpy().copy()
        self.models = [Compiled(member.model).model for member in potential.members]
        self.core, self.workspace = native.core(), native.core().Workspace()
        self.of_list = 0

    def __call__(self, atoms: ase.Atoms, neighbors: SkinList) -> Results:
        """Return energy, energies, forces, and stress where it is defined."""
        if neighbors.n_builds != self.of_list:
            self._take(atoms, neighbors)
        every = [self._one(model, atoms, neighbors) for model in self.models]
        if len(every) == 1:
            return every[0]
        stacked = {name: np.array([one[name] for one in every]) for name in every[0]}
        spread = {f"{k}_std": stacked[k].std(0, ddof=1) for k in stacked if named(k).has_spread}
        return {name: x.mean(0) for name, x in stacked.items()} | spread

    def _take(self, atoms: ase.Atoms, neighbors: SkinList) -> None:
        """Lay out a new list."""
        pairs = neighbors.pairs
        self.system = System(
            element=self.element_index[atoms.numbers].astype(np.int32),
            positions=atoms.positions,
            first=pairs.first,
            neighbor=pairs.neighbor,
            shift=pairs.shift if atoms.pbc.any() else None,
            structure=None,
        )
        self.volume = atoms.get_volume() if atoms.pbc.all() else None
        self.of_list = neighbors.n_builds

    def _one(self, model: Any, atoms: ase.Atoms, neighbors: SkinList) -> Results:
        s, n = self.system, len(atoms)
        energies, forces = np.empty(n), np.empty((n, 3))
        strain = None if self.volume is None else np.empty((1, 3, 3))
        try:
            self.core.evaluate(
                model,
                0,
                self.workspace,
                s.element,
                np.ascontiguousarray(atoms.arrays["positions"], dtype=np.float64),
                s.first,
                s.neighbor,
                s.shift,
                s.structure,
                s.n_structures,
                torch.get_num_threads(),
                energies,
                forces,
                strain,
                None,
            )
        except (ValueError, RuntimeError) as error:
            checked_neighbor_list(atoms, neighbors.cutoff)  # says which atoms coincide
            raise refused(error) from error
        results: Results = {"energy": float(energies.sum()), "energies": energies, "forces": forces}
        if strain is not None and self.volume is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(strain[0] / self.volume)
        return results


def _as_ase(name: str, array: NDArray) -> Any:
    if name.startswith("energy"):
        return float(array[0])
    if name.startswith("stress"):
        return full_3x3_to_voigt_6_stress(array[0])
    return array
