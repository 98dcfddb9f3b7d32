"""Labels of structures: their values in eV and Å, and what is wrong with them.

A label sits in the results of a single-point calculator (where ASE puts `energy`, `forces` and
`stress` of a file), in `info`, or in `arrays`. Results are read as they are: `Atoms.get_forces`
would zero the forces on fixed atoms.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.config import DataConfig
from reann.data.keys import KeyCensus, ResolvedKeys
from reann.data.names import LABELS, names_of
from reann.data.stated import factors, stated_units
from reann.data.values import values_of
from reann.data.weights import masked_atoms, without_weight
from reann.errors import UserError, did_you_mean, listed, shortened

VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
"""Places of the nine components in xx yy zz yz xz xy."""


def resolve_keys(samples: Iterable[ase.Atoms], data: DataConfig, where: str) -> ResolvedKeys:
    """Return which keys hold the labels of these structures; errors as `KeyCensus.resolve`."""
    census = KeyCensus()
    for number, atoms in enumerate(samples):
        census.add(atoms, f"{where}#{number}")
    return census.resolve(data, where)


def extract(atoms: ase.Atoms, keys: ResolvedKeys, data: DataConfig, origin: str) -> dict[str, Any]:
    """Return the labels of one structure in eV and Å, NaN where it has none.

    Returns
    -------
    dict
        Those that are used of energy (), forces (atoms, 3) and stress (3, 3), symmetric;
        weight (); group, a string, empty without one.

    Raises
    ------
    UserError
        For a label of the wrong shape or type, infinity, and NaN where none may be missing.
    """
    empty = {"energy": (), "forces": (len(atoms), 3), "stress": (3, 3)}
    uses = {
        "energy": keys.energy is not None,
        "forces": keys.forces is not None,
        "stress": keys.stress is not None or keys.virial is not None,
    }
    labels = {name: np.full(empty[name], np.nan) for name, used in uses.items() if used}
    given = read_labels(atoms, keys, data, origin)
    for name in labels.keys() & given.keys():
        _check_finite(name, given[name], data.missing == "allow", origin)
    if "forces" in given:
        choice = data.ignore_forces_of
        mask = masked_atoms(atoms) if choice is None else ignored_atoms(atoms, choice, origin)
        if mask is not None:
            given["forces"][mask] = np.nan
    return {**labels, **given}


def read_labels(
    atoms: ase.Atoms, keys: ResolvedKeys, data: DataConfig, origin: str
) -> dict[str, Any]:
    """Return the labels that a structure has, in eV and Å, not checked to be finite.

    A label with a weight of zero is left out.
    """
    values = values_of(atoms)
    names = {label: getattr(keys, label) for label in LABELS}
    size = factors(stated_units(atoms.info), names, data.units, origin)
    without = without_weight(values)
    labels: dict[str, Any] = {"weight": np.array(1.0), "group": ""}
    if keys.energy in values and "energy" not in without:
        labels["energy"] = np.asarray(_array(values, keys.energy, [()], origin) * size.energy)
    if keys.forces in values and "forces" not in without:
        labels["forces"] = _array(values, keys.forces, [(len(atoms), 3)], origin) * size.forces
    if atoms.pbc.all():
        if keys.stress in values and "stress" not in without:
            labels["stress"] = _symmetric(values, keys.stress, origin) * size.stress
        elif keys.virial in values and "virial" not in without:
            volume = abs(np.linalg.det(atoms.cell.array)) * size.length**3
            if volume == 0:
                raise UserError(
                    "A virial needs a volume, but the cell is flat.", origin, "Repair the cell."
                )
            labels["stress"] = -_symmetric(values, keys.virial, origin) * size.virial / volume
    if keys.weight in values:
        labels["weight"] = _array(values, keys.weight, [()], origin)
        if not (np.isfinite(labels["weight"]) and labels["weight"] >= 0):
            raise UserError(
                f"The weight {labels['weight']} ('{keys.weight}') is not a number >= 0.", origin
            )
    if keys.group in values:
        labels["group"] = str(values[keys.group])
    return labels


class Extractor:
    """Reads whatever labels each structure has by itself, for a look at unknown files."""

    def __init__(self, data: DataConfig | None) -> None:
        self._data = data or DataConfig(train=[])

    def __call__(self, atoms: ase.Atoms, origin: str) -> dict[str, Any]:
        """Return the labels that are there, in eV and Å, finite or not."""
        values, asked = values_of(atoms), self._data.keys.model_fields_set
        found: dict[str, str | None] = {}
        for label in LABELS:
            names = names_of(label, values)
            named: str | None = getattr(self._data.keys, label)
            found[label] = named if label in asked else (names[0] if names else None)
        if found["energy"] is None and "energy" not in asked and "free_energy" in values:
            found["energy"] = "free_energy"
        return read_labels(atoms, ResolvedKeys(**found), self._data, origin)  # type: ignore[arg-type]


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
            f"There is no per-atom array '{choice}' of data.ignore_forces_of."
            f"{did_you_mean(choice, ['constrained', *atoms.arrays])}",
            origin,
            f"Write `constrained` or one of the arrays there: {listed(sorted(atoms.arrays))}.",
        )
    array = np.asarray(atoms.arrays[choice])
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise UserError(
            f"The array '{choice}' of data.ignore_forces_of is not one true or false per atom.",
            origin,
            "Write it as a column `:L:1` (T or F).",
        )
    return array.astype(bool)


def _array(
    values: dict[str, Any], key: str | None, shapes: list[tuple[int, ...]], origin: str
) -> NDArray[np.float64]:
    value = values[str(key)]
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(
            f"'{key}' is not numeric.",
            f"{origin} ({shortened(str(value), 40)!r})",
            "Write the number alone, without a unit, and spaces between the entries of the comment"
            " line.",
        ) from None
    if array.shape not in shapes and array.shape == (1,) and () in shapes:
        array = array.reshape(())
    if array.shape not in shapes:
        expected = " or ".join(str(shape) if shape else "a single number" for shape in shapes)
        raise UserError(
            f"'{key}' has the shape {array.shape}; expected {expected}.",
            origin,
            "Check the key and the Properties of the frame.",
        )
    return array


def _symmetric(values: dict[str, Any], key: str | None, origin: str) -> NDArray[np.float64]:
    array = _array(values, key, [(6,), (9,), (3, 3)], origin)
    if array.size == 6:
        return array[VOIGT]
    matrix = array.reshape(3, 3)
    return (matrix + matrix.T) / 2


def _check_finite(name: str, label: NDArray[np.float64], may_be_missing: bool, origin: str) -> None:
    wrong = np.isinf(label) if may_be_missing else ~np.isfinite(label)
    if not wrong.any():
        return
    verb, atoms = "is", ""
    if name == "forces":
        verb = "are"
        atoms = f" at atom {listed(np.flatnonzero(wrong.any(axis=1)))}"
    value = label[wrong].flat[0]
    fix = "Remove the structure"
    fix += "." if np.isinf(value) else ", or set data.missing to allow (NaN is then left out)."
    raise UserError(f"The {name} {verb} {value}{atoms}.", origin, fix)
