"""A reference calculation of one structure, run on a worker."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from reann.errors import UserError
from reann.learning.cluster import scratch_folder
from reann.learning.label.calculators import make_calculator
from reann.learning.watchdog import time_limit


@dataclass(frozen=True)
class Method:
    """Method that computes labels."""

    name: str
    arguments: Mapping[str, Any]
    folder: str
    """Added to the search path of modules."""
    timeout: float
    """s."""
    max_force: float
    """eV/Å."""


@dataclass(frozen=True)
class Outcome:
    """A labeled structure, or the reason of failure."""

    atoms: ase.Atoms | None
    """Structure with labels in a calculator of ASE; None if the calculation failed."""
    reason: str = ""
    seconds: float = field(default=0.0, compare=False)


def compute(atoms: ase.Atoms, method: Method) -> Outcome:
    """Return the labels of a structure; errors of the calculator are raised.

    A new calculator is created for each structure, so that no label depends on an earlier one.
    It runs in a temporary folder.
    """
    begun, home = time.perf_counter(), os.getcwd()  # noqa: PTH109 - chdir needs it
    place = tempfile.TemporaryDirectory(prefix="label-", dir=scratch_folder())
    with place as folder:
        os.chdir(folder)
        try:
            calculator = make_calculator(method.name, method.arguments, method.folder)
            with time_limit(method.timeout):
                labeled = _labeled(atoms, calculator)
        finally:
            os.chdir(home)
    reason = refusal(labeled, method.max_force)
    seconds = time.perf_counter() - begun
    return Outcome(None if reason else labeled, reason, seconds)


def _labeled(atoms: ase.Atoms, calculator: Any) -> ase.Atoms:
    work = atoms.copy()
    work.calc = calculator
    results = {"energy": energy_of(work), "forces": work.get_forces(False)}
    if atoms.pbc.all() and "stress" in calculator.implemented_properties:
        results["stress"] = work.get_stress(apply_constraint=False)
    if getattr(calculator, "converged", True) is False:
        raise RuntimeError("the calculation did not converge")
    labeled = atoms.copy()
    labeled.calc = SinglePointCalculator(labeled, **results)
    return labeled


def energy_of(atoms: ase.Atoms) -> float:
    """Return the energy of which the forces are the derivatives, eV.

    With smeared occupations, this is the free energy, and the energy of a calculator is
    extrapolated to a smearing of zero.
    """
    energy = atoms.get_potential_energy()
    return float(results_of(atoms).get("free_energy", energy))


def refusal(atoms: ase.Atoms, max_force: float) -> str:
    """Return why labels are refused, empty if they are accepted."""
    results = results_of(atoms)
    forces = np.asarray(results["forces"])
    if not all(np.isfinite(value).all() for value in results.values()):
        return "the labels are not finite"
    if forces.shape != (len(atoms), 3):
        return f"the forces have shape {forces.shape}"
    lengths = np.linalg.norm(forces, axis=1)
    worst = int(lengths.argmax())
    if lengths[worst] > max_force:
        return (
            f"the force on atom {worst} ({atoms.symbols[worst]}) is {lengths[worst]:.1f} eV/Å, more"
            f" than label.max_force = {max_force:g}"
        )
    return ""


def results_of(atoms: ase.Atoms) -> dict[str, Any]:
    """Return the labels in the calculator of a structure, if it has one."""
    return dict(getattr(atoms.calc, "results", {}))


def check_method(method: Method) -> UserError | None:
    """Return the error if the calculator cannot be created on this worker."""
    try:
        make_calculator(method.name, method.arguments, method.folder)
    except UserError as error:
        return error
    return None
