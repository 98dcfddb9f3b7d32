"""Predictions and reference labels as extended XYZ.

Predictions are written as `reann_energy`, `reann_forces`, `reann_stress`, as ASE reads `energy` and
`forces` into a calculator, where the references remain.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import ase
import numpy as np
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_xyz
from numpy.typing import NDArray

from reann import atomic_file
from reann.errors import UserError
from reann.evaluation.comparison import Evaluation
from reann.quantities import PREFIX, inputs, is_per_atom

SUFFIXES = (".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz")


def check_name(path: Path | None) -> None:
    """Raise `UserError` unless a file name has a suffix of extended XYZ."""
    if path is not None and not path.name.lower().endswith(SUFFIXES):
        raise UserError(
            f"Predictions are written as extended XYZ; '{path.name}' has another suffix.",
            fix=f"Use one of the suffixes {', '.join(SUFFIXES)}.",
        )


def write(path: Path, evaluation: Evaluation, structures: Iterable[ase.Atoms]) -> None:
    """Write all structures; the file appears when it is complete.

    Parameters
    ----------
    structures
        Structures of the evaluation, in the same order.
    """
    with atomic_file.replacing(path) as temporary:
        opened = gzip.open if path.name.lower().endswith(".gz") else open
        with opened(temporary, "wt", encoding="utf-8") as file:
            for i, atoms in zip(range(evaluation.n_structures), structures, strict=True):
                write_xyz(file, [labeled(evaluation, i, atoms)], write_results=True)


def labeled(evaluation: Evaluation, index: int, atoms: ase.Atoms) -> ase.Atoms:
    """Return a copy of a structure with its predictions and references."""
    result = ase.Atoms(
        numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
    )
    result.info |= {q.name: atoms.info[q.name] for q in inputs() if q.name in atoms.info}
    if evaluation.groups[index]:
        result.info["config_type"] = evaluation.groups[index]
    predicted = {
        name: _of_structure(evaluation, index, name, v) for name, v in evaluation.predicted.items()
    }
    spread = {f"{k}_std": _of_structure(evaluation, index, k, v) for k, v in evaluation.std.items()}
    for name, value in {**predicted, **spread}.items():
        if not np.isfinite(value).all():
            continue
        if is_per_atom(name):
            result.arrays[PREFIX + name] = _column(value)
        else:
            result.info[PREFIX + name] = float(value) if value.ndim == 0 else value
    if evaluation.extrapolating is not None:
        result.arrays[PREFIX + "extrapolating"] = evaluation.extrapolating[evaluation.rows(index)]
    reference = {
        name: _of_structure(evaluation, index, name, v) for name, v in evaluation.reference.items()
    }
    known = {name: value for name, value in reference.items() if np.isfinite(value).all()}
    if "stress" in known:  # ASE stores it in Voigt order
        known["stress"] = known["stress"].flat[[0, 4, 8, 5, 2, 1]]
    of_calculator = {name: known.pop(name) for name in all_properties if name in known}
    if of_calculator:
        result.calc = SinglePointCalculator(result, **of_calculator)
    for name, value in known.items():
        if is_per_atom(name):
            result.arrays[name] = _column(value)
        else:
            result.info[name] = value
    return result


def _column(values: NDArray) -> NDArray:
    """Return values of atoms as columns of a file: matrices as nine numbers."""
    return values.reshape(len(values), -1) if values.ndim > 2 else values


def _of_structure(evaluation: Evaluation, index: int, name: str, values: NDArray) -> NDArray:
    return np.asarray(values[evaluation.rows(index) if is_per_atom(name) else index])
