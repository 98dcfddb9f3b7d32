"""Weights and masks that other programs keep with each label.

A structure has one weight in the loss, for all its labels. A weight of zero for one label, as MACE
writes `config_energy_weight`, leaves that label out, as if it were missing; so does the
`force_mask` of GAP for the atoms where it is true. Other weights of single labels are not used, and
a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.data.names import words_of
from reann.data.values import number
from reann.errors import counted
from reann.quantities import readable

FORCE_MASK = "force_mask"
"""Of GAP: true for atoms whose forces are left out."""
_LABELS = {
    **dict.fromkeys(("energy", "energies"), "energy"),
    **dict.fromkeys(("force", "forces"), "forces"),
    "stress": "stress",
    **dict.fromkeys(("virial", "virials"), "virial"),
}


@lru_cache(maxsize=4096)
def label_weighted(key: str) -> str | None:
    """Return the label whose weight a key holds, as `config_energy_weight` does, else None."""
    if "weight" not in key.lower():
        return None
    words = [word for word in words_of(key) if word != "config"]
    if len(words) != 2 or words[1] not in ("weight", "weights"):
        return None
    return _LABELS.get(words[0]) or (words[0] if words[0] in readable() else None)


def without_weight(values: Mapping[str, Any]) -> frozenset[str]:
    """Return which of energy, forces, stress and virial have a weight of zero in a structure."""
    weighted = ((label_weighted(key), value) for key, value in values.items())
    return frozenset(label for label, value in weighted if label and number(value) == 0.0)


def masked_atoms(atoms: ase.Atoms) -> NDArray[np.bool_] | None:
    """Return a mask (atoms,) of the forces that the file leaves out; None without one."""
    mask = atoms.arrays.get(FORCE_MASK)
    if mask is None or mask.ndim != 1 or mask.dtype.kind not in "biu":
        return None
    return mask.astype(bool)


@dataclass
class _Range:
    label: str
    n: int = 0
    n_zero: int = 0
    low: float = np.inf
    high: float = -np.inf


class LabelWeights:
    """Counts weights of single labels and masks over structures that stream by."""

    def __init__(self) -> None:
        self._ranges: dict[str, _Range] = {}
        self._masked_atoms = self._masked_structures = 0

    def add(self, atoms: ase.Atoms, values: Mapping[str, Any]) -> frozenset[str]:
        """Count one structure; return which labels have a weight of zero."""
        without = set()
        for key, value in values.items():
            label = label_weighted(key)
            if label is None or np.isnan(weight := number(value)):  # such as a column of weights
                continue
            known = self._ranges.setdefault(key, _Range(label))
            known.n += 1
            if weight == 0.0:
                known.n_zero += 1
                without.add(label)
            else:
                known.low, known.high = min(known.low, weight), max(known.high, weight)
        mask = masked_atoms(atoms)
        if mask is not None and mask.any():
            self._masked_atoms += int(mask.sum())
            self._masked_structures += 1
        return frozenset(without)

    def state(self) -> dict[str, Any]:
        """Return what was counted as JSON."""
        return {
            "ranges": {key: vars(weights) for key, weights in self._ranges.items()},
            "masked": [self._masked_atoms, self._masked_structures],
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add what `state` returned; null stands for what is not finite at the start."""
        for key, values in state["ranges"].items():
            other = _Range(**{k: v for k, v in values.items() if v is not None})
            known = self._ranges.setdefault(key, _Range(other.label))
            known.n, known.n_zero = known.n + other.n, known.n_zero + other.n_zero
            known.low, known.high = min(known.low, other.low), max(known.high, other.high)
        atoms, structures = state["masked"]
        self._masked_atoms += atoms
        self._masked_structures += structures

    def keys(self, *, masks: bool) -> set[str]:
        """Return the keys that the notes speak of."""
        return {*self._ranges, *([FORCE_MASK] if masks and self._masked_atoms else [])}

    def notes(self, used: Iterable[str], *, masks: bool) -> list[str]:
        """Return sentences about the labels that are used.

        Parameters
        ----------
        masks
            Whether masks of the files count.
        """
        used, lines = set(used), []
        for key, weights in self._ranges.items():
            if weights.label not in used:
                continue
            if weights.n_zero:
                verb = "are" if weights.label == "forces" else "is"
                lines.append(
                    f"The {weights.label} {verb} left out of"
                    f" {counted(weights.n_zero, 'structure')}, where '{key}' is 0."
                )
            if weights.n_zero < weights.n and (weights.low, weights.high) != (1.0, 1.0):
                values = f"{weights.low:g}"
                values += f" to {weights.high:g}" if weights.high > weights.low else ""
                lines.append(
                    f"'{key}' ({values}) is not used where it is not 0:"
                    " a structure has one weight for all labels (data.keys.weight)."
                )
        if masks and self._masked_atoms and "forces" in used:
            where = counted(self._masked_structures, "structure")
            lines.append(
                f"The forces on {counted(self._masked_atoms, 'atom')} in {where} are left out,"
                f" where '{FORCE_MASK}' is true."
            )
        return lines
