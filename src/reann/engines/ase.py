"""`Calculator`: a potential behind ASE's interface, with a neighbor list that lasts some steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import ase
import numpy as np
import torch
from ase.calculators import calculator as ase_calculator
from ase.stress import full_3x3_to_voigt_6_stress

from reann.data.neighbors import SHORTEST_DISTANCE, checked_neighbor_list, graph_from_atoms
from reann.device import device_named
from reann.errors import UserError, did_you_mean
from reann.graph import Graph
from reann.model.reann import PRECISIONS, Reann, in_precision
from reann.potential import Ensemble, Potential, check_elements, load

ENGINES = ("auto", "torch", "native")


class Calculator(ase_calculator.Calculator):
    """ASE calculator of a potential or an ensemble.

    Offers energy, free_energy (the same), energies (eV), forces (eV/Å) and, where the cell is
    periodic in three dimensions, stress (eV/Å^3, Voigt order, ASE's sign). An ensemble gives
    means, and `energy_std`, `forces_std`, `stress_std` beside them. Positions are never changed;
    forces are those of the potential, and ASE applies the constraints.

    Parameters
    ----------
    potential
        The potential, or the `.reann` file that holds it.
    engine
        What computes: `torch`; `auto` takes the fastest there is. `native` does not exist yet.
    skin
        Å; the neighbor list reaches this much beyond the cutoff and is kept until an atom has
        moved half of it, or the cell, the periodicity or the composition changed.
    precision
        Of the networks: `float32` or `float64`; by default as the potential has it.
    device
        `cpu`, `cuda`, or `auto`: a GPU if there is one. By default a loaded potential computes
        where it is, and a file is read to the CPU. A given potential is copied, never moved.

    Raises
    ------
    UserError
        For an unknown engine, precision or device, a file that is no potential; while computing,
        for unknown elements (which atoms), coincident atoms, impossible cells, and where the
        memory of the GPU is not enough.
    """

    name: ClassVar[str] = "reann"  # pyright: ignore[reportIncompatibleMethodOverride]
    ignored_changes: ClassVar[set[str]] = {"initial_magmoms", "initial_charges"}

    def __init__(
        self,
        potential: Potential | Ensemble | str | Path,
        engine: str = "auto",
        skin: float = 0.5,
        precision: str | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        self.implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]
        _check_engine(engine)
        if isinstance(potential, (str, Path)):
            potential = load(potential, device_named(device or "cpu", "device"))
        elif device is not None:
            potential = _on(potential, device_named(device, "device"))
        self.potential = potential if precision is None else _converted(potential, precision)
        self.neighbors = SkinList(potential.cutoff, skin)
        if len(self.potential.members) > 1:
            spreads = ["energy_std", "forces_std", "stress_std"]
            self.implemented_properties = [*self.implemented_properties, *spreads]

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(ase_calculator.all_changes),
    ) -> None:
        """Compute everything that the structure has, whatever was asked for; called by ASE."""
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        assert atoms is not None
        names = ["energy", "energies", "forces"]
        if atoms.pbc.all():
            names.append("stress")
        elif {"stress", "stress_std"} & set(properties):
            raise ase_calculator.PropertyNotImplementedError(
                "Stress is defined for structures that are periodic in three dimensions;"
                f" pbc is {atoms.pbc.tolist()}."
            )
        check_elements(self.potential, atoms)
        graph = self.neighbors.graph(atoms).to(self.potential.device)
        found = self.potential.evaluate(graph, names)
        self.results = {name: _as_ase(name, value) for name, value in found.items()}
        self.results["free_energy"] = self.results["energy"]

    def fraction_extrapolating(self) -> float:
        """Return the fraction of atoms of the last structure outside the range of the training.

        An atom of an ensemble counts when it does so for one of the members. NaN where the
        potential did not record its range.
        """
        models = [member.model for member in self.potential.members]
        if self.atoms is None or not all(model.has_range for model in models):
            return float("nan")
        graph = self.neighbors.graph(self.atoms).to(self.potential.device)
        outside = torch.stack([model.extrapolates(graph) for model in models]).any(0)
        return float(outside.double().mean())


class SkinList:
    """A neighbor list with a skin, reused while no atom has moved half of the skin.

    Attributes
    ----------
    n_builds
        How often the list was made.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        if not 0 <= skin < float("inf"):
            raise UserError(f"The skin is {skin} Å.", "Calculator", "Give 0 or more, such as 0.5.")
        self.cutoff, self.skin, self.n_builds = cutoff, skin, 0
        self._made_for: ase.Atoms | None = None
        self._list: Graph | None = None

    def graph(self, atoms: ase.Atoms) -> Graph:
        """Return the graph of the structure, with the edges inside the cutoff only."""
        if self._list is None or not self._lasts(atoms):
            self._list = graph_from_atoms(atoms, self.cutoff + self.skin)
            self._made_for = atoms.copy()
            self.n_builds += 1
        everything = replace(
            self._list, positions=torch.tensor(atoms.positions, dtype=torch.float64)
        )
        squared = everything.edge_vectors().square().sum(1)
        if len(squared) and squared.min() < SHORTEST_DISTANCE**2:
            checked_neighbor_list(atoms, self.cutoff)  # says which atoms coincide
        # The cutoff function would zero the edges of the skin; without them the model is faster.
        near = (squared < self.cutoff**2).nonzero()[:, 0]
        return replace(
            everything,
            edge_index=everything.edge_index[:, near],
            edge_shift=everything.edge_shift[near],
        )

    def _lasts(self, atoms: ase.Atoms) -> bool:
        old = self._made_for
        assert old is not None
        if not (
            np.array_equal(old.numbers, atoms.numbers)
            and np.array_equal(old.pbc, atoms.pbc)
            and np.array_equal(old.cell.array, atoms.cell.array)
        ):
            return False
        moved = ((atoms.positions - old.positions) ** 2).sum(axis=1).max(initial=0.0)
        # Not a number compares as false: the new list then says which position is wrong.
        return bool(moved < (0.5 * self.skin) ** 2)


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        raise UserError(
            f"'{engine}' is not an engine.{did_you_mean(engine, ENGINES)}",
            fix=f"Use one of {', '.join(ENGINES)}.",
        )
    if engine == "native":
        raise UserError("The engine 'native' does not exist yet.", fix="Use 'torch' or 'auto'.")


def _converted(potential: Potential | Ensemble, precision: str) -> Potential | Ensemble:
    """Return a copy whose networks have the precision."""
    if precision not in PRECISIONS:
        raise UserError(
            f"'{precision}' is not a precision.{did_you_mean(precision, PRECISIONS)}",
            fix=f"Use one of {', '.join(PRECISIONS)}.",
        )
    return _changed(potential, lambda model: in_precision(model, PRECISIONS[precision]))


def _on(potential: Potential | Ensemble, device: torch.device) -> Potential | Ensemble:
    """Return the potential where it is on the device, else a copy that is."""
    if potential.device == device:
        return potential
    return _changed(potential, lambda model: model.to(device))


def _changed(
    potential: Potential | Ensemble, change: Callable[[Reann], Reann]
) -> Potential | Ensemble:
    """Return a changed copy; the given potential stays as it is."""
    members = [
        Potential(change(copy.deepcopy(member.model)), member.metadata)
        for member in potential.members
    ]
    return members[0] if len(members) == 1 else Ensemble(members)


def _as_ase(name: str, value: torch.Tensor) -> Any:
    array = value.detach().cpu().numpy()
    if name.startswith("energy"):
        return float(array[0])
    if name.startswith("stress"):
        return full_3x3_to_voigt_6_stress(array[0])
    return array
