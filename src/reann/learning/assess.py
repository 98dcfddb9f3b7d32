"""Errors of the last potential on new labels, measured before it is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np

from reann.evaluation.as_labeled import as_labeled
from reann.interfaces.ase import Calculator
from reann.learning.choose import CHOICE, RANDOM
from reann.learning.folders import Iteration, read_frames, write_json
from reann.potential import Ensemble, Potential


def assess(iteration: Iteration, potential: Potential | Ensemble, engine: str) -> None:
    """Write the errors on structures drawn at random and on selected structures."""
    labeled = read_frames(iteration.labels)
    calculator = Calculator(as_labeled(potential), engine=engine)
    parts = {
        "random": [atoms for atoms in labeled if atoms.info.get(CHOICE) == RANDOM],
        "selected": [atoms for atoms in labeled if atoms.info.get(CHOICE) != RANDOM],
    }
    errors = {name: errors_on(part, calculator) for name, part in parts.items() if part}
    write_json(iteration.errors, errors)


def errors_on(labeled: Sequence[ase.Atoms], calculator: Calculator) -> dict[str, Any]:
    """Return errors of forces and energies; units are in the names.

    The 95th percentile is that of the lengths of force errors, one per atom.
    """
    forces, energies = [], []
    for atoms in labeled:
        work = atoms.copy()
        work.calc = calculator
        forces.append(work.get_forces(False) - atoms.get_forces(False))
        difference = work.get_potential_energy() - atoms.get_potential_energy()
        energies.append(difference / len(atoms))
    residuals, energy = 1e3 * np.concatenate(forces), 1e3 * np.array(energies)
    lengths = np.linalg.norm(residuals, axis=1)
    return {
        "structures": len(labeled),
        "forces_rmse_meV_per_A": _root_mean(residuals),
        "forces_mae_meV_per_A": float(np.abs(residuals).mean()),
        "forces_p95_meV_per_A": float(np.percentile(lengths, 95)),
        "energy_rmse_meV_per_atom": _root_mean(energy),
        "energy_mae_meV_per_atom": float(np.abs(energy).mean()),
    }


def _root_mean(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
