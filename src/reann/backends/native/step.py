"""Steps of a calculator in C++: one call per member, with the neighbor list including the skin.

PyTorch is involved only if outputs of heads are requested or if the model has structure terms. The
engine skips pairs beyond the cutoff exactly. Data that depend only on the list are kept until it is
rebuilt.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import ase
import numpy as np
import torch
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from reann import native
from reann.arbitrary_sign import stacked_members
from reann.backends.native.compiled import refused
from reann.backends.native.inputs import at_numbers
from reann.backends.native.numbers import Numbers
from reann.backends.native.outputs import born_charges, quantities
from reann.backends.native.recent import STATES, Recent
from reann.backends.native.weights import new_model
from reann.backends.native.whole import compute_whole
from reann.backends.protocol import Results
from reann.data.neighbors import checked_neighbors, graph_of
from reann.model.inputs import numbers_of_values
from reann.native.system import Arguments
from reann.quantities import BORN, is_per_atom, named

if TYPE_CHECKING:
    from reann.interfaces.skin import SkinList
    from reann.model import Reann
    from reann.potential import Ensemble, Potential

RESULTS = frozenset({"energies", "forces", "extrapolation"})
"""Results of the engine that are those of the calculator."""


class Member(NamedTuple):
    """A model and, for common heads, its quantities without PyTorch."""

    model: Reann
    numbers: Numbers | None


class NativeStep:
    """Computes structures with the weights of a potential at the time of creation."""

    def __init__(self, potential: Potential | Ensemble) -> None:
        # A copy: PyTorch moves the memory of tensors when a potential is sent to another process.
        self.element_index = potential.model.element_index.numpy().copy()
        members = [member.model for member in potential.members]
        self.inputs = potential.input_keys
        self.has_inputs = bool(potential.model.config.inputs)
        if self.has_inputs:
            members = [copy.deepcopy(model) for model in members]
            self.of_state: Recent[tuple[float, ...], list[Any]] = Recent(STATES)
        else:
            self.models = [new_model(model) for model in members]
        self.members = [Member(model, Numbers.of(model)) for model in members]
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
        stacked = {name: _stacked(name, [x[name] for x in each]) for name in each[0]}
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
        names, from_atoms = self.members[0].model.config.inputs, self.inputs.read(atoms)
        of_each = {n: [float(from_atoms.get(n, named(n).default or 0.0))] for n in names}
        values = {n: torch.tensor(value, dtype=torch.float64) for n, value in of_each.items()}
        with torch.no_grad():
            x = numbers_of_values(values, torch.tensor([len(atoms)]))[0]
            return self.of_state.of(
                tuple(x.tolist()),
                lambda: [new_model(at_numbers(member.model, x)) for member in self.members],
            )

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
        member: Member,
        atoms: ase.Atoms,
        neighbors: SkinList,
        names: frozenset[str],
    ) -> Results:
        source, numbers = member
        others = names.intersection(source.output_names)
        has_terms = bool(source.structure_terms)
        needs_graph = has_terms or others
        graph = graph_of(atoms, neighbors.pairs, self.inputs) if needs_graph else None
        requested = {"forces", "extrapolation"} & names | ({"outputs"} if others else set())
        if self.volume is not None and "stress" in names:
            requested.add("strain")
        positions = np.ascontiguousarray(atoms.arrays["positions"], dtype=np.float64)
        element, first, neighbor, shift = self.of_neighbors
        system = Arguments(element, positions, first, neighbor, shift)
        try:
            if has_terms and graph is not None:
                computed = compute_whole(model, source, graph, system, requested)
                arrays = {k: x.numpy() for k, x in computed._asdict().items() if x is not None}
            else:
                arrays = self._without_terms(model, system, requested)
        except (ValueError, RuntimeError) as error:
            # Raises an error that names the atoms if some coincide.
            checked_neighbors(atoms, neighbors.cutoff)
            raise refused(error) from error
        results: Results = {"energy": float(arrays["energies"].sum())}
        results |= {name: arrays[name] for name in ("energies", *requested) if name in RESULTS}
        if "strain" in requested:
            results["stress"] = full_3x3_to_voigt_6_stress(arrays["strain"][0] / self.volume)
        if others and graph is not None:
            rows = torch.from_numpy(arrays["outputs"])
            if numbers is None:
                with torch.no_grad():
                    of_heads = quantities(source, graph, element, rows)
            else:
                of_heads = numbers.quantities(graph, element, rows, others)
            if BORN in others:
                of_heads[BORN] = born_charges(source, graph, model)
            for name in others:
                value = of_heads[name].numpy()
                results[name] = value if is_per_atom(name) else value[0]
        return results

    def _without_terms(
        self, model: Any, system: Arguments, requested: set[str]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the requested results of the engine."""
        n = system.n_atoms
        shapes = {
            "energies": (n,),
            "forces": (n, 3),
            "strain": (1, 3, 3),
            "virials": (n, 3, 3),
            "extrapolation": (n,),
            "outputs": (n, model.n_outputs),
        }
        names = {"energies"} | requested
        arrays = {name: np.empty(shape) for name, shape in shapes.items() if name in names}
        in_order = (arrays.get(name) for name in shapes)
        self.core.evaluate(model, 0, self.workspace, *system, torch.get_num_threads(), *in_order)
        return arrays


def _stacked(name: str, values: list[Any]) -> NDArray[np.float64]:
    """Return the values of all members; for arbitrary signs see `stacked_members`."""
    if not named(name).sign_is_arbitrary:
        return np.array(values)
    return stacked_members(name, [torch.from_numpy(value)[None] for value in values])[:, 0].numpy()
