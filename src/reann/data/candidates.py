"""Numbers of a file that no key claims: which of them may be labels, by name or by value.

A label under a name that is not recognized would be left out of the training without a word. An
array is a candidate for a label when it has the label's shape and its name speaks for it, or its
numbers do: total energies are large, negative and grow with the number of atoms, and the forces on
all atoms add up to zero.
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

from reann.data.names import (
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
"""Forces and stresses of which each component has an own name."""
_UNNAMED_COLUMNS = re.compile(r"columns_\d+_to_\d+")
"""Of `reann.data.unnamed`."""
_SHAPES = {
    "energy": "scalar",
    "forces": "vectors",
    "stress": "tensor",
    "virial": "tensor",
    "weight": "scalar",
}
_EMPTY = np.empty(0)
_LEAST_ENERGY = 1.0
"""Per atom; total energies are larger in every unit."""
_MOST_SPREAD = 0.5
"""Of energies per atom, relative to their mean."""
_MOST_NET_FORCE = 0.05
"""|sum of F| / sqrt(sum of F²): the value of random vectors is about 1."""
_LEAST_STRUCTURES = 3
"""From which the values speak."""
_UNNAMED = word_set(
    "momenta momentum velocity velocities vel v magmom magmoms moments spin spins dipole dipoles"
    " displacement displacements disp position positions pos mode eigenvector homo lumo fermi mu"
    " charge charges pred prediction predicted reann std var committee uncertainty"
)
"""Words of names whose values are never taken for energies or forces."""


@dataclass
class Candidate:
    """What the values under one key look like, over all structures that have it."""

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
    """Largest |sum over the atoms| / sqrt(sum of squares); NaN without two atoms anywhere."""

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
        """Return the label that the values may be, None if they are none."""
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
        """Return the key, in how many structures it is asked about, and its values."""
        if self.shape == "text":
            values = "text"
        elif self.shape == "scalar":
            values = f"{self.low:.6g}"
            values += f" to {self.high:.6g}" if self.high > self.low else ""
        else:
            size = (self.squares / max(self.n_values, 1)) ** 0.5
            values = f"root mean square {size:.3g}"
        has_unit = self.shape != "text" and self.label() != "weight"
        unit = " in units of the file" if has_unit else ""
        return f"'{self.name}' ({counted(n, 'structure')}: {values}{unit})"

    def repair(self) -> str:
        """Return what must be written into the file before the values can be read, else empty."""
        label = self.label()
        if self.shape == "column" and label == "forces":
            return "Write the three components of the forces as one column, forces:R:3."
        if self.shape == "column":
            return f"'{self.name}' has values of single atoms: write the {label} of the structure."
        if label == "stress" and self.shape == "scalar":
            return "Write the components of the stress under one key, as nine numbers."
        return ""

    def caution(self) -> str:
        """Return why the values may need a change first; empty if nothing speaks against them."""
        if is_per_atom(self.name):
            return f"By its name, '{self.name}' is per atom: if so, write the total energy instead."
        if has_opposite_sign(self.name) and self.shape in ("vectors", "tensor"):
            kind = "gradient" if self.shape == "vectors" else "pressure"
            return f"By its name, '{self.name}' is a {kind}: if so, write its negative instead."
        unit = unit_of_name(self.name)
        if unit is not None and (label := self.label()) in ("energy", "forces", "stress"):
            field = "energy" if label_meant(self.name) == "virial" else label
            return f"By its name, '{self.name}' is in {unit}: if so, set data.units.{field}, too."
        return ""


class Unclaimed:
    """Collects the values that no key claims, over structures that stream by."""

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
        """Add what `state` returned; null stands for what is not finite at the start."""
        for values in state:
            other = Candidate(**{k: v for k, v in values.items() if v is not None})
            self._candidates.setdefault(
                (other.name, other.shape), Candidate(other.name, other.shape)
            ).merge(other)

    def of(self, label: str) -> dict[str, Candidate]:
        """Return the candidates for a label (stress and virial are one) by their keys."""
        return {c.name: c for c in self._candidates.values() if c.label() == label}


def _shape(
    array: NDArray[Any], n_atoms: int, meant: str | None, per_atom: bool
) -> Literal["scalar", "vectors", "column", "tensor"] | None:
    """Return the shape of the label that an array may be; its name decides between two."""
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
