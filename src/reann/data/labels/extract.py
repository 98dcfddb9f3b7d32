"""Labels of structures in eV and Å, with checks of their shapes and values.

Labels are in the results of a single-point calculator (where ASE stores `energy`, `forces` and
`stress` of a file), in `info`, or in `arrays`. Results are read directly, as `Atoms.get_forces`
would set the forces on fixed atoms to zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.config import DataConfig
from reann.data.labels.file_units import Factors, factors, stated_units
from reann.data.labels.keys import KeyCensus
from reann.data.labels.names import all_names, names_of
from reann.data.labels.resolved import ResolvedKeys
from reann.data.labels.values import check_finite, numeric, values_of
from reann.data.labels.weights import masked_atoms, without_weight
from reann.errors import UserError, did_you_mean, listed
from reann.quantities import SOUGHT, Quantity, inputs, labels, named, readable

VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
"""Index of each of the nine components in xx yy zz yz xz xy."""
AXES = "xyz"
ASYMMETRY = 0.01
"""Tolerance relative to the largest component; converged polarizabilities are much better."""


def resolve_keys(samples: Iterable[ase.Atoms], data: DataConfig, where: str) -> ResolvedKeys:
    """Return the keys of the labels of structures; for errors see `KeyCensus.resolve`."""
    census = KeyCensus()
    for number, atoms in enumerate(samples):
        census.add(atoms, f"{where}#{number}")
    return census.resolve(data, where)


def extract(atoms: ase.Atoms, keys: ResolvedKeys, data: DataConfig, origin: str) -> dict[str, Any]:
    """Return the labels of a structure in eV and Å; NaN for missing labels.

    Returns
    -------
    dict
        The labels that are used, with the shapes of `reann.quantities`, matrices symmetrized;
        weight (); group, a string, possibly empty; head, a string, if there is one.

    Raises
    ------
    UserError
        If a label has the wrong shape or type, is infinite, or is NaN although labels must not be
        missing.
    """
    empty = {
        quantity.name: np.full(_shape(quantity, atoms), np.nan)
        for quantity in labels()
        if keys.holds(quantity.name)
    }
    found_labels = read_labels(atoms, keys, data, origin)
    for name in empty.keys() & found_labels.keys():
        check_finite(name, found_labels[name], data.missing == "allow", origin)
    found_labels |= read_inputs(atoms, keys.chosen, origin)
    if "forces" in found_labels:
        choice = data.ignore_forces_of
        mask = masked_atoms(atoms) if choice is None else ignored_atoms(atoms, choice, origin)
        if mask is not None:
            found_labels["forces"][mask] = np.nan
    return {**empty, **found_labels}


def read_labels(
    atoms: ase.Atoms, keys: ResolvedKeys, data: DataConfig, origin: str
) -> dict[str, Any]:
    """Return the labels of a structure in eV and Å, without checking that they are finite.

    Labels with a weight of zero are omitted.
    """
    values = values_of(atoms)
    size = factors(stated_units(atoms.info), keys.chosen, data.units, origin)
    without, full = without_weight(values), bool(atoms.pbc.all())
    result: dict[str, Any] = {"weight": np.array(1.0), "group": ""}
    for form, label in readable().items():
        key = keys.of(form)
        if key is None or key not in values or form in without or label in result:
            continue
        if full or not named(label).needs_volume:
            value = np.asarray(_value(values, key, named(form), atoms, origin) * size.of(form))
            result[label] = value if form == label else _stress(value, atoms, size, origin)
    if (key := keys.of("weight")) in values:
        result["weight"] = numeric(values, key, [()], origin)
        if not (np.isfinite(result["weight"]) and result["weight"] >= 0):
            raise UserError(
                f"The weight {result['weight']} ('{key}') is not a number >= 0.", origin
            )
    for name in ("group", "head"):
        if (key := keys.of(name)) in values:
            result[name] = str(values[key])
    return result


def read_inputs(
    atoms: ase.Atoms, keys: Mapping[str, str], origin: str
) -> dict[str, NDArray[np.float64]]:
    """Return the inputs of a model, by name, in the units of `reann.quantities`.

    Raises
    ------
    UserError
        If an input has the wrong shape or type or is not finite.
    """
    values = values_of(atoms)
    result = {}
    for quantity in inputs():
        if (key := keys.get(quantity.name)) in values:
            result[quantity.name] = numeric(values, key, [quantity.shape], origin)
            check_finite(quantity.name, result[quantity.name], False, origin)
    return result


def _stress(
    virial: NDArray[np.float64], atoms: ase.Atoms, size: Factors, origin: str
) -> NDArray[np.float64]:
    """Return the stress of a virial."""
    volume = abs(np.linalg.det(atoms.cell.array)) * size.length**3
    if volume == 0:
        raise UserError(
            "A virial needs a volume, but the cell is flat.", origin, "Correct the cell."
        )
    return -virial / volume


class Extractor:
    """Reads the labels of each structure independently, for checks of unknown files."""

    def __init__(self, data: DataConfig | None) -> None:
        self._data = data or DataConfig(train=[])
        self._resolved: dict[tuple[str, ...], ResolvedKeys] = {}

    def __call__(self, atoms: ase.Atoms, origin: str) -> dict[str, Any]:
        """Return the labels of a structure in eV and Å, finite or not."""
        names = tuple(values_of(atoms))
        if names not in self._resolved:
            self._resolved[names] = self._resolve(names)
        return read_labels(atoms, self._resolved[names], self._data, origin)

    def _resolve(self, values: tuple[str, ...]) -> ResolvedKeys:
        set_by_user = self._data.keys.model_fields_set
        chosen: dict[str, str] = {}
        for label in all_names():
            names = names_of(label, values)
            key = (
                self._data.keys.of(label) if label in set_by_user else (names[0] if names else None)
            )
            if key is not None:
                chosen[label] = label if key == SOUGHT else key
        if "energy" not in chosen.keys() | set_by_user and "free_energy" in values:
            chosen["energy"] = "free_energy"
        return ResolvedKeys(chosen)


def ignored_atoms(atoms: ase.Atoms, choice: str, origin: str) -> NDArray[np.bool_]:
    """Return a mask (atoms,) of the atoms whose forces are not trained on."""
    mask = np.zeros(len(atoms), dtype=bool)
    if choice == "constrained":
        for constraint in atoms.constraints:
            if hasattr(constraint, "get_indices"):
                mask[np.asarray(constraint.get_indices(), dtype=int)] = True
        return mask
    if choice not in atoms.arrays:
        raise UserError(
            f"There is no per-atom array '{choice}', to which data.ignore_forces_of is set."
            f"{did_you_mean(choice, ['constrained', *atoms.arrays])}",
            origin,
            f"Use `constrained` or one of the arrays: {listed(sorted(atoms.arrays))}.",
        )
    array = np.asarray(atoms.arrays[choice])
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise UserError(
            f"The array '{choice}', to which data.ignore_forces_of is set, is not boolean.",
            origin,
            "Write it as a property of type L with one column (`:L:1`, T or F).",
        )
    return array.astype(bool)


def _shape(quantity: Quantity, atoms: ase.Atoms) -> tuple[int, ...]:
    return (len(atoms), *quantity.shape) if quantity.per_atom else quantity.shape


def _value(
    values: dict[str, Any], key: str, quantity: Quantity, atoms: ase.Atoms, origin: str
) -> NDArray[np.float64]:
    """Return a value of a structure; matrices may also be given as six or nine numbers.

    Matrices of atoms may be given as nine numbers, as in the columns of a file.
    """
    if quantity.shape != (3, 3):
        return numeric(values, key, [_shape(quantity, atoms)], origin)
    if quantity.per_atom:
        array = numeric(values, key, [(len(atoms), 3, 3), (len(atoms), 9)], origin)
        return array.reshape(-1, 3, 3)
    array = numeric(values, key, [(6,), (9,), (3, 3)], origin)
    if array.size == 6:
        return array[VOIGT]
    matrix = array.reshape(3, 3)
    if not quantity.from_energy:  # stresses of programs are not exactly symmetric
        _check_symmetric(matrix, key, origin)
    return (matrix + matrix.T) / 2


def _check_symmetric(matrix: NDArray[np.float64], key: str, origin: str) -> None:
    """Raise `UserError` if a matrix is not symmetric, e.g. because of the order of components."""
    off = np.abs(matrix - matrix.T)
    if off.max() <= ASYMMETRY * np.abs(matrix).max() or np.isnan(off).any():
        return
    i, j = np.unravel_index(off.argmax(), (3, 3))
    upper, lower = f"{AXES[i]}{AXES[j]}", f"{AXES[j]}{AXES[i]}"
    raise UserError(
        f"'{key}' is not symmetric: {upper} is {matrix[i, j]:g}, but {lower} is {matrix[j, i]:g}.",
        origin,
        "Write nine numbers row by row, or six in the order xx yy zz yz xz xy.",
    )
