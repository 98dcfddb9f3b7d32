"""Values under unassigned keys that may be labels, judged by name or by value.

A label under an unknown key would otherwise be ignored silently. An array is a candidate for a
label if it has the shape of the label and its name or its values suggest it: total energies are
large, negative and grow with the number of atoms, and the forces on all atoms add up to zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import ase
import numpy as np
from numpy.typing import NDArray

from reann.data.labels.names import (
    has_opposite_sign,
    is_per_atom,
    label_meant,
    unit_of_name,
    word_set,
    words_of,
)
from reann.errors import counted

_TENSORS = ((6,), (9,), (3, 3))
_FORCE_COLUMN = re.compile(r"(?:.*[_-])?f(?:orces?)?[_-]?[xyz]", re.IGNORECASE)
_COMPONENT = re.compile(
    r"(?:.*[_-])?(?:stress|virial|sigma|pressure|press|[sp])[_-]?[xyz]{2}", re.IGNORECASE
)
"""Names of single components of forces and stresses."""
_UNNAMED_COLUMNS = re.compile(r"columns_\d+_to_\d+")
"""Names given by `reann.data.files.unnamed_columns`."""
_SHAPES = {
    "energy": "scalar",
    "forces": "vectors",
    "stress": "tensor",
    "virial": "tensor",
    "weight": "scalar",
}
_EMPTY = np.empty(0)
_LEAST_ENERGY = 1.0
"""Minimum magnitude per atom; total energies are larger in all units."""
_MOST_SPREAD = 0.5
"""Maximum relative standard deviation of energies per atom."""
_MOST_NET_FORCE = 0.05
"""Maximum |sum of F| / sqrt(sum of F²); about 1 for random vectors."""
_LEAST_STRUCTURES = 3
"""Minimum number of structures for a judgment by values."""
_UNNAMED = word_set(
    "momenta momentum velocity velocities vel v magmom magmoms moments spin spins dipole dipoles"
    " displacement displacements disp position positions pos mode eigenvector homo lumo fermi mu"
    " charge charges pred prediction predicted reann std var committee uncertainty"
)
"""Words in names of values that are never energies or forces."""


@dataclass
class Candidate:
    """Statistics of the values under a key, over all structures that have it."""

    name: str
    shape: str
    """`scalar`, `vectors` (atoms, 3), `column` (a value or tensor per atom), `tensor`, `text`."""
    n: int = 0
    low: float = np.inf
    high: float = -np.inf
    squares: float = 0.0
    n_values: int = 0
    whole: bool = True
    """Whether all values are whole numbers."""
    per_atom: float = 0.0
    per_atom_squares: float = 0.0
    net: float = np.nan
    """Largest |sum over atoms| / sqrt(sum of squares); NaN if all structures are single atoms."""

    def add(self, array: NDArray[np.float64], n_atoms: int) -> None:
        """Count the values of one structure."""
        self.n += 1
        if self.shape == "scalar":
            self._add_number(float(array.reshape(())), n_atoms)
            return
        flat = array.ravel()
        squares = float(flat @ flat)
        if not np.isfinite(squares) or not flat.size:
            return
        self.n_values += flat.size
        self.squares += squares
        self.low, self.high = min(self.low, flat.min()), max(self.high, flat.max())
        if self.shape == "vectors" and n_atoms > 1 and squares > 0:
            net = float(np.linalg.norm(flat.reshape(-1, 3).sum(axis=0))) / squares**0.5
            self.net = float(np.fmax(self.net, net))

    def _add_number(self, value: float, n_atoms: int) -> None:
        if not math.isfinite(value * value):
            return
        self.n_values += 1
        self.squares += value * value
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.whole = self.whole and value.is_integer()
        self.per_atom += value / n_atoms
        self.per_atom_squares += (value / n_atoms) ** 2

    def merge(self, other: Candidate) -> None:
        """Add the values of other structures."""
        self.n, self.n_values = self.n + other.n, self.n_values + other.n_values
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.squares += other.squares
        self.whole = self.whole and other.whole
        self.per_atom += other.per_atom
        self.per_atom_squares += other.per_atom_squares
        self.net = float(np.fmax(self.net, other.net))

    def label(self) -> str | None:
        """Return the label that the values may be; None if they are not a label."""
        if self.shape == "column":
            return self._label_of_column()
        if self.shape == "scalar" and _COMPONENT.fullmatch(self.name):
            return "stress"
        if self.shape == "vectors" and _UNNAMED_COLUMNS.fullmatch(self.name):
            return "forces"
        meant = label_meant(self.name)
        if meant is not None and self.shape == "text":
            return "group" if meant == "group" else None
        if meant is not None and self.n_values and self.shape == _SHAPES.get(meant):
            negative_weight = meant == "weight" and self.low < 0
            return None if negative_weight else {"virial": "stress"}.get(meant, meant)
        return self._label_of_values()

    def _label_of_column(self) -> str | None:
        if _FORCE_COLUMN.fullmatch(self.name):
            return "forces"
        meant = label_meant(self.name)
        return {"energy": "energy", "stress": "stress", "virial": "stress"}.get(meant or "")

    def _label_of_values(self) -> str | None:
        if self.n < _LEAST_STRUCTURES or set(words_of(self.name)) & _UNNAMED:
            return None
        if self.shape == "scalar" and self.high < 0 and not self.whole:
            mean = self.per_atom / self.n
            variance = self.per_atom_squares / self.n - mean**2
            if mean <= -_LEAST_ENERGY and 0 < variance <= (_MOST_SPREAD * mean) ** 2:
                return "energy"
        return "forces" if self.shape == "vectors" and self.net < _MOST_NET_FORCE else None

    def described(self, n: int) -> str:
        """Describe the key, the number of structures and the values."""
        if self.shape == "text":
            values = "text"
        elif self.shape == "scalar":
            values = f"{self.low:.6g}"
            values += f" to {self.high:.6g}" if self.high > self.low else ""
        else:
            size = (self.squares / max(self.n_values, 1)) ** 0.5
            values = f"root mean square {size:.3g}"
        has_unit = self.shape != "text" and self.label() != "weight"
        unit = " in the unit of the file" if has_unit else ""
        return f"'{self.name}' ({counted(n, 'structure')}: {values}{unit})"

    def repair(self) -> str:
        """Return why the values cannot be read as they are, such as a change of the file; or ""."""
        label = self.label()
        if self.shape == "column" and label == "forces":
            return "Write the three components of the forces as one property, forces:R:3."
        if self.shape == "column":
            return f"'{self.name}' has values per atom: write the {label} of the structure."
        if label == "stress" and self.shape == "scalar":
            return "Write the components of the stress under one key, as nine numbers."
        if label == "energy" and self.n_values > 1 and self.low == self.high:
            return f"'{self.name}' is {self.low:.6g} in all structures: it is not the total energy."
        return ""

    def caution(self) -> str:
        """Return why the values may have to be converted; empty if there is no such reason."""
        if is_per_atom(self.name):
            return (
                f"According to its name, '{self.name}' is per atom: if so, write the total energy."
            )
        if has_opposite_sign(self.name) and self.shape in ("vectors", "tensor"):
            kind = "gradient" if self.shape == "vectors" else "pressure"
            return f"According to its name, '{self.name}' is a {kind}: if so, write its negative."
        unit = unit_of_name(self.name)
        if unit is not None and (label := self.label()) in ("energy", "forces", "stress"):
            field = "energy" if label_meant(self.name) == "virial" else label
            return (
                f"According to its name, '{self.name}' is in {unit}: if so, also set"
                f" data.units.{field}."
            )
        return ""


class UnassignedKeys:
    """Collects the values under keys that are not assigned to a label."""

    def __init__(self) -> None:
        self._candidates: dict[tuple[str, str], Candidate] = {}
        self._meant: dict[str, str | None] = {}

    def add(self, atoms: ase.Atoms, values: Mapping[str, Any]) -> None:
        """Count the values of one structure."""
        for name, value in values.items():
            if name not in self._meant:
                self._meant[name] = label_meant(name)
            if isinstance(value, str):
                shape, array = "text", _EMPTY
            else:
                array = np.asarray(value)
                shape = _shape(array, len(atoms), self._meant[name], name in atoms.arrays)
            if shape is not None:
                candidate = self._candidates.get((name, shape))
                if candidate is None:
                    candidate = self._candidates[name, shape] = Candidate(name, shape)
                candidate.add(array.astype(np.float64, copy=False), len(atoms))

    def state(self) -> list[dict[str, Any]]:
        """Return all candidates as JSON."""
        return [asdict(candidate) for candidate in self._candidates.values()]

    def merge(self, state: list[dict[str, Any]]) -> None:
        """Add the result of `state`; null stands for an initial value that is not finite."""
        for values in state:
            other = Candidate(**{k: v for k, v in values.items() if v is not None})
            self._candidates.setdefault(
                (other.name, other.shape), Candidate(other.name, other.shape)
            ).merge(other)

    def of(self, label: str) -> dict[str, Candidate]:
        """Return the candidates for a label by key; virials are candidates for the stress."""
        return {c.name: c for c in self._candidates.values() if c.label() == label}


def _shape(
    array: NDArray[Any], n_atoms: int, meant: str | None, per_atom: bool
) -> Literal["scalar", "vectors", "column", "tensor"] | None:
    """Return the shape of the label that an array may be; if ambiguous, the name decides."""
    if array.dtype.kind not in "iuf":
        return None
    is_tensor = meant in ("stress", "virial")
    if per_atom and (array.ndim == 1 or (is_tensor and array.size > 3 * n_atoms)):
        return "column"
    if array.size == 1:
        return "scalar"
    if not per_atom and array.shape in _TENSORS and is_tensor:
        return "tensor"
    is_flat = meant == "forces" and array.size == 3 * n_atoms
    if array.dtype.kind == "f" and (array.shape == (n_atoms, 3) or is_flat):
        return "vectors"
    return None
