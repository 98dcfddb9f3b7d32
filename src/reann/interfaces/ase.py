"""`Calculator`: the ASE calculator, with a neighbor list that is reused for several steps."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import ase
import numpy as np
from ase.calculators import calculator as ase_calculator

from reann.backends import choice
from reann.backends.choice import Engine
from reann.backends.protocol import Backend, Request
from reann.device import device_named
from reann.display import Displayed, Summary
from reann.elements import check_elements
from reann.errors import UserError, did_you_mean
from reann.interfaces.compute import GraphStep, step_of
from reann.interfaces.skin import SkinList
from reann.model.reann import MARGIN, PRECISIONS, Reann, in_precision
from reann.potential import Ensemble, Potential, load
from reann.torch_state import differentiable

USUAL = frozenset({"energy", "energies", "forces", "stress"})
EXTRAPOLATION = frozenset({"extrapolation"})


class Calculator(Displayed, ase_calculator.Calculator):
    """ASE calculator of a potential or an ensemble.

    Computes energy, free_energy (the same), energies (eV), forces (eV/Å) and, for cells that are
    periodic in three dimensions, stress (eV/Å^3, Voigt order, ASE's sign). An ensemble returns
    means, and also `energy_std`, `forces_std` and `stress_std`. The property `extrapolation` is
    computed only on request with `get_property`: the distance of the density of each atom from the
    training range, in widths of this range; for an ensemble, the largest of the members. Outputs of
    the model such as the dipole are also computed on request, and then together with the forces of
    the next structure; a model without energy has only these. Models that depend on the total
    charge or an electric field read them from `atoms.info`: `charge` in e, `field` in V/Å; for
    other keys see `Potential.predict`.
    Positions are never changed; forces are those of the potential, and ASE applies constraints.
    Threads may share a calculator; their computations are serialized.

    Parameters
    ----------
    potential
        A potential or a `.reann` file. A potential is copied, so later changes of its weights do
        not affect the calculator.
    engine
        `native` (C++), `triton` (GPUs) or `torch` (PyTorch); `auto` uses the fastest engine that is
        available and supports the model. Also the name of an engine of an installed package, or a
        `reann.backends.protocol.Backend`.
    skin
        Å beyond the cutoff in the neighbor list, which is reused until an atom has moved by half of
        it, or until cell, periodicity or composition change.
    precision
        Precision of the networks: `float32` or `float64`; by default that of the potential.
    device
        `cpu`, `cuda`, or `auto`: a GPU if available. By default a potential stays on its device,
        and a file is loaded to the CPU. A potential that is passed in is never moved.
    uncertainty
        Whether a calibrated potential also computes `energy_std`, `forces_std` and `stress_std`.
        The computing time is multiplied by the number of draws of the last layer.

    Raises
    ------
    UserError
        For an unknown engine, precision or device, an engine that does not support the model, and
        a file that is not a potential. When computing, for unknown elements, coincident atoms,
        invalid cells, and insufficient memory of the GPU.
    """

    name: ClassVar[str] = "reann"  # pyright: ignore[reportIncompatibleMethodOverride]
    ignored_changes: ClassVar[set[str]] = {"initial_magmoms", "initial_charges"}

    def __init__(
        self,
        potential: Potential | Ensemble | str | Path,
        engine: Engine = "auto",
        skin: float = 0.5,
        precision: str | None = None,
        device: str | None = None,
        *,
        uncertainty: bool = False,
    ) -> None:
        super().__init__()
        choice.check(engine)
        place = device and choice.device_for(engine, device)
        if isinstance(potential, (str, Path)):
            potential = load(potential, device_named(place or "cpu", "device"))
        else:
            device_of = potential.device if place is None else device_named(place, "device")
            potential = _changed(potential, lambda model: model.to(device_of))
        if uncertainty and isinstance(potential, Potential) and potential.calibration is not None:
            potential = potential.with_uncertainty()
        self.potential = potential if precision is None else _converted(potential, precision)
        self.backend = choice.chosen(engine, (member.model for member in self.potential.members))
        self.skin = skin
        self.others = frozenset(self.potential.model.output_names)
        self.inputs = self.potential.input_keys
        self.known = _known_outputs(self.backend, self.potential)
        self.cheap = self.known.intersection(self.potential.model.of_heads)
        self.requested = self.expected = frozenset[str]()  # for this and the last structure
        self.usual = USUAL if len(self.potential.model.heads) else frozenset[str]()
        free = ["free_energy"] if self.usual else []
        self.implemented_properties = [*free, *sorted(self.usual | EXTRAPOLATION | self.others)]
        self._prepare()
        if self.usual and len(self.potential.members) > 1:
            spreads = ["energy_std", "forces_std", "stress_std"]
            self.implemented_properties = [*self.implemented_properties, *spreads]

    def _summary(self) -> Summary:
        potential, members = self.potential, len(self.potential.members)
        kind = "one potential" if members == 1 else f"ensemble of {members}"
        rows = [
            ("potential", f"{kind} · {', '.join(potential.elements)}"),
            ("cutoff", f"{potential.cutoff:g} Å, skin {self.skin:g} Å"),
            ("computes", ", ".join(self.implemented_properties)),
            ("engine", f"{self.backend.name} on {potential.device}"),
        ]
        return Summary("Calculator", rows)

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self.backend.name

    def _prepare(self) -> None:
        """Create the objects that are not copied or pickled: lock, engine, neighbor list."""
        self._process, self._lock = os.getpid(), threading.RLock()
        self.compute = step_of(self.backend, self.potential)
        self.by_reference = GraphStep(choice.REFERENCE, self.potential)
        self.neighbors = SkinList(self.potential.cutoff, self.skin)

    def _locked(self) -> AbstractContextManager[Any]:
        """Return the lock that protects atoms, results and neighbor list."""
        if self._process != os.getpid():
            # A fork copies the lock, which may be held by a thread that does not exist there.
            self._prepare()
        return self._lock

    def __getstate__(self) -> dict[str, Any]:
        """Return a consistent state for copies."""
        made_anew = ("_process", "_lock", "compute", "by_reference", "neighbors")
        with self._locked():
            return {name: x for name, x in vars(self).items() if name not in made_anew}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def get_property(
        self, name: str, atoms: ase.Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """Return a property as ASE does, but keep the last structure to detect changes."""
        if name not in self.implemented_properties:
            raise ase_calculator.PropertyNotImplementedError(f"{name} property not implemented")
        with self._locked():
            if atoms is not None and self.check_state(atoms):
                self.results = {}
            if name not in self.results:
                if not allow_calculation:
                    return None
                self.calculate(self.atoms if atoms is None else atoms, [name])
            self.requested |= self.cheap & {name}
            result = self.results[name]
        return result.copy() if isinstance(result, np.ndarray) else result

    def get_potential_energy(
        self, atoms: ase.Atoms | None = None, force_consistent: bool = False
    ) -> float:
        """Return the energy in eV, consistent with the forces."""
        return self.get_property("free_energy" if force_consistent else "energy", atoms)

    def calculate_properties(self, atoms: ase.Atoms, properties: Sequence[str]) -> Any:
        """Return several properties at once."""
        with self._locked():
            return super().calculate_properties(atoms, properties)

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(ase_calculator.all_changes),
    ) -> None:
        """Compute all properties of a structure, extrapolation only on request; called by ASE."""
        del system_changes  # the neighbor list detects changes itself
        with self._locked():
            self._calculate(atoms, properties)

    def _calculate(self, atoms: ase.Atoms | None, properties: Sequence[str]) -> None:
        if atoms is not None and (changed := self.check_state(atoms)):
            self.results = {}
            self.expected, self.requested = self.requested, frozenset()
            if changed == ["positions"] and self.atoms is not None:
                # A full copy would take a fifth of the time of a step with few atoms.
                self.atoms.arrays["positions"] = atoms.arrays["positions"].copy()
            else:
                self.atoms = self._copied(atoms)
        atoms = self.atoms
        assert atoms is not None
        if {"stress", "stress_std"} & set(properties) and not atoms.pbc.all():
            raise ase_calculator.PropertyNotImplementedError(
                "Stress is defined for structures that are periodic in three dimensions;"
                f" pbc is {atoms.pbc.tolist()}."
            )
        if not self.neighbors.holds(atoms):
            check_elements(self.potential.model.elements, atoms.numbers)
            self.neighbors.build(atoms)
        more = (self.others | EXTRAPOLATION).intersection(properties)
        # Results of this structure are there when ASE requests missing ones.
        names = more if more and self.results else self.usual | more | self.expected
        step = self.compute if more - EXTRAPOLATION <= self.known else self.by_reference
        results = step(atoms, self.neighbors, names)
        free = {"free_energy": results["energy"]} if "energy" in results else {}
        self.results |= results | free

    def check_state(self, atoms: ase.Atoms, tol: float = 0.0) -> list[str]:
        """Return the changes since the last structure; ASE's function takes longer than a step."""
        del tol
        old = self.atoms
        if old is None or len(old) != len(atoms):
            return list(ase_calculator.all_changes)
        changes = [
            name
            for name, was, is_now in (
                ("positions", old.arrays["positions"], atoms.arrays["positions"]),
                ("numbers", old.arrays["numbers"], atoms.arrays["numbers"]),
                ("cell", old.cell.array, atoms.cell.array),
                ("pbc", old.pbc, atoms.pbc),
            )
            if was.tobytes() != is_now.tobytes()
        ]
        return changes + self.inputs.changed(old.info, atoms.info)

    def _copied(self, atoms: ase.Atoms) -> ase.Atoms:
        """Return a copy that does not share a field with the atoms, as copies of ASE do."""
        copied = atoms.copy()
        of_inputs = (key for keys in self.inputs.held(atoms.info) for key in keys)
        copied.info |= {key: copy.deepcopy(atoms.info[key]) for key in of_inputs}
        return copied

    def fraction_extrapolating(self) -> float:
        """Return the fraction of atoms of the last structure outside the range of the training.

        For an ensemble, an atom counts if it extrapolates for any member. NaN if the potential has
        no recorded range.
        """
        known = all(member.model.has_range for member in self.potential.members)
        with self._locked():
            if self.atoms is None or not known:
                return float("nan")
            outside = self.get_property("extrapolation", self.atoms)
        return float(np.mean(outside > MARGIN))


def _known_outputs(backend: Backend, potential: Potential | Ensemble) -> frozenset[str]:
    """Return the outputs of a potential that the backend computes."""
    return frozenset(
        name
        for name in potential.model.output_names
        if all(backend.supports(m.model, Request.of([name])) is None for m in potential.members)
    )


def _converted(potential: Potential | Ensemble, precision: str) -> Potential | Ensemble:
    """Return a copy whose networks have the precision."""
    if precision not in PRECISIONS:
        raise UserError(
            f"'{precision}' is not a precision.{did_you_mean(precision, PRECISIONS)}",
            fix=f"Use one of {', '.join(PRECISIONS)}.",
        )
    return _changed(potential, lambda model: in_precision(model, PRECISIONS[precision]))


@differentiable()
def _changed(
    potential: Potential | Ensemble, change: Callable[[Reann], Reann]
) -> Potential | Ensemble:
    """Return a modified copy of a potential."""
    members = [
        Potential(change(copy.deepcopy(member.model)), member.metadata)
        for member in potential.members
    ]
    return members[0] if len(members) == 1 else Ensemble(members)
