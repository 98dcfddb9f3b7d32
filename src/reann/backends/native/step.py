"""Steps of a calculator in C++: one call per member, with the neighbor list including the skin.

PyTorch is not involved unless outputs of heads are requested. The engine skips pairs beyond the
cutoff exactly. Data that depend only on the list are kept until it is rebuilt.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import ase
import numpy as np
import torch
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from reann import native
from reann.backends.native.compiled import refused
from reann.backends.native.inputs import at_numbers
from reann.backends.native.outputs import born_charges, quantities
from reann.backends.native.weights import new_model
from reann.backends.protocol import Results
from reann.data.neighbors import checked_neighbors, graph_of, stated_inputs
from reann.model.inputs import numbers_of_values
from reann.quantities import BORN, is_per_atom, named

if TYPE_CHECKING:
    from reann.interfaces.skin import SkinList
    from reann.model import Reann
    from reann.potential import Ensemble, Potential


class NativeStep:
    """Computes structures with the weights of a potential at the time of creation."""

    def __init__(self, potential: Potential | Ensemble) -> None:
        # A copy: PyTorch moves the memory of tensors when a potential is sent to another process.
        self.element_index = potential.model.element_index.numpy().copy()
        self.members = [member.model for member in potential.members]
        self.has_inputs = bool(potential.model.config.inputs)
        if self.has_inputs:
            self.members = [copy.deepcopy(model) for model in self.members]
            self.of_state: dict[tuple[float, ...], list[Any]] = {}
        else:
            self.models = [new_model(model) for model in self.members]
        self.core, self.workspace = native.core(), native.core().Workspace()
        self.of_list = 0
        self.calibration = potential.calibration if len(self.members) > 1 else None

    def __call__(self, atoms: ase.Atoms, neighbors: SkinList, names: frozenset[str]) -> Results:
        """Return results by name; for an ensemble means and standard deviations."""
        if neighbors.n_builds != self.of_list:
            self._take(atoms, neighbors)
        models = self._models_at(atoms) if self.has_inputs else self.models
        each = [
            self._one(model, member, atoms, neighbors, names)
            for model, member in zip(models, self.members, strict=True)
        ]
        if len(each) == 1:
            return each[0]
        stacked = {name: np.array([x[name] for x in each]) for name in each[0]}
        means = {name: x.mean(0) for name, x in stacked.items()}
        if "extrapolation" in stacked:
            means["extrapolation"] = stacked["extrapolation"].max(0)
        spreads = [name for name in stacked if named(name).has_spread]
        return means | {
            f"{name}_std": self._deviation(stacked[name], name, atoms) for name in spreads
        }

    def _deviation(self, values: NDArray, name: str, atoms: ase.Atoms) -> Any:
        """Return the standard deviation of the members, calibrated if the ensemble is."""
        deviation = values.std(0, ddof=1)
        if self.calibration is None:
            return deviation
        if name == "forces":
            return self.calibration.factors(atoms.numbers) * deviation
        return self.calibration.factor(name) * deviation

    def _models_at(self, atoms: ase.Atoms) -> list[Any]:
        """Return the models of the engine for charge and spin of a structure."""
        names = self.members[0].config.inputs
        from_atoms = stated_inputs(atoms, names)
        of_each = {n: [float(from_atoms.get(n, named(n).default or 0.0))] for n in names}
        values = {n: torch.tensor(value, dtype=torch.float64) for n, value in of_each.items()}
        with torch.no_grad():
            x = numbers_of_values(values, torch.tensor([len(atoms)]))[0]
            key = tuple(x.tolist())
            if key not in self.of_state:
                self.of_state[key] = [new_model(at_numbers(member, x)) for member in self.members]
        return self.of_state[key]

    def _take(self, atoms: ase.Atoms, neighbors: SkinList) -> None:
        """Prepare the arrays of a new list."""
        pairs = neighbors.pairs
        element = self.element_index[atoms.numbers].astype(np.int32)
        shift = pairs.shift if atoms.pbc.any() else None
        self.of_neighbors = element, pairs.first, pairs.neighbor, shift
        self.volume = atoms.get_volume() if atoms.pbc.all() else None
        self.of_list = neighbors.n_builds

    def _one(
        self,
        model: Any,
        member: Reann,
        atoms: ase.Atoms,
        neighbors: SkinList,
        names: frozenset[str],
    ) -> Results:
        (element, first, neighbor, shift), n = self.of_neighbors, len(atoms)
        energies = np.empty(n)
        forces = np.empty((n, 3)) if "forces" in names else None
        strain = None if self.volume is None or "stress" not in names else np.empty((1, 3, 3))
        outside = np.empty(n) if "extrapolation" in names else None
        others = names.intersection(member.output_names)
        outputs = np.empty((n, model.n_outputs)) if others else None
        try:
            self.core.evaluate(
                model,
                0,
                self.workspace,
                element,
                np.ascontiguousarray(atoms.arrays["positions"], dtype=np.float64),
                first,
                neighbor,
                shift,
                None,
                1,
                torch.get_num_threads(),
                energies,
                forces,
                strain,
                None,
                outside,
                outputs,
            )
        except (ValueError, RuntimeError) as error:
            # Raises an error that names the atoms if some coincide.
            checked_neighbors(atoms, neighbors.cutoff)
            raise refused(error) from error
        results: Results = {"energy": float(energies.sum()), "energies": energies}
        if forces is not None:
            results["forces"] = forces
        if strain is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(strain[0] / self.volume)
        if outside is not None:
            results["extrapolation"] = outside
        if outputs is not None:
            graph = graph_of(atoms, neighbors.pairs, member.inputs)
            with torch.no_grad():
                of_heads = quantities(member, graph, element, torch.from_numpy(outputs))
            if BORN in others:
                of_heads[BORN] = born_charges(member, graph, model)
            for name in others:
                value = of_heads[name].numpy()
                results[name] = value if is_per_atom(name) else value[0]
        return results
