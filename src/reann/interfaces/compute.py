"""A step of the calculator by any backend: a special implementation, or via a graph."""

from __future__ import annotations

import ase
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from reann.backends.protocol import Backend, Results, Step
from reann.interfaces.skin import SkinList
from reann.potential import Ensemble, Potential
from reann.quantities import is_per_atom


class GraphStep:
    """Computes the graph of a structure, on the device of the potential."""

    def __init__(self, backend: Backend, potential: Potential | Ensemble) -> None:
        self.backend, self.potential = backend, potential

    def __call__(self, atoms: ase.Atoms, neighbors: SkinList, names: frozenset[str]) -> Results:
        """Return results by name; for an ensemble means and standard deviations."""
        if not atoms.pbc.all():
            names -= {"stress"}
        graph = neighbors.graph(atoms, self.potential.input_keys).to(self.potential.device)
        results = self.potential.evaluate(graph, names, engine=self.backend)
        return {name: _as_ase(name, x.detach().cpu().numpy()) for name, x in results.items()}


def step_of(backend: Backend, potential: Potential | Ensemble) -> Step:
    """Return the function that computes steps of a calculator."""
    return backend.step(potential) or GraphStep(backend, potential)


def _as_ase(name: str, array: NDArray) -> float | NDArray:
    if is_per_atom(name):
        return array
    if name.startswith("stress"):
        return full_3x3_to_voigt_6_stress(array[0])
    return float(array[0]) if array.ndim == 1 else array[0]
