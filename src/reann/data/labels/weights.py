"""Weights and masks of single labels, as written by other programs.

A structure has one weight in the loss for all its labels. A label with a weight of zero, such as
`config_energy_weight` of MACE, is treated as missing; so are the forces on atoms for which the
`force_mask` of GAP is true. Other weights of single labels are not used, which is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.data.labels.names import words_of
from reann.data.labels.values import number
from reann.errors import counted
from reann.quantities import readable

FORCE_MASK = "force_mask"
"""Key of GAP: true for atoms whose forces are ignored."""
_LABELS = {
    **dict.fromkeys(("energy", "energies"), "energy"),
    **dict.fromkeys(("force", "forces"), "forces"),
    "stress": "stress",
    **dict.fromkeys(("virial", "virials"), "virial"),
}


@lru_cache(maxsize=4096)
def label_weighted(key: str) -> str | None:
    """Return the label whose weight a key such as `config_energy_weight` holds; None if none."""
    if "weight" not in key.lower():
        return None
    words = [word for word in words_of(key) if word != "config"]
    if len(words) != 2 or words[1] not in ("weight", "weights"):
        return None
    return _LABELS.get(words[0]) or (words[0] if words[0] in readable() else None)


def without_weight(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the labels of a structure that have a weight of zero."""
    weighted = ((label_weighted(key), value) for key, value in values.items())
    return frozenset(label for label, value in weighted if label and number(value) == 0.0)


def masked_atoms(atoms: ase.Atoms) -> NDArray[np.bool_] | None:
    """Return the mask (atoms,) of forces that are ignored; None without a mask."""
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
    """Counts weights of single labels and masks of structures."""

    def __init__(self) -> None:
        self._ranges: dict[str, _Range] = {}
        self._masked_atoms = self._masked_structures = 0

    def add(self, atoms: ase.Atoms, values: Mapping[str, Any]) -> frozenset[str]:
        """Count a structure; return its labels with a weight of zero."""
        without = set()
        for key, value in values.items():
            label = label_weighted(key)
            if label is None or np.isnan(weight := number(value)):  # for example a column
                continue
            weights_of_key = self._ranges.setdefault(key, _Range(label))
            weights_of_key.n += 1
            if weight == 0.0:
                weights_of_key.n_zero += 1
                without.add(label)
            else:
                weights_of_key.low, weights_of_key.high = (
                    min(weights_of_key.low, weight),
                    max(weights_of_key.high, weight),
                )
        mask = masked_atoms(atoms)
        if mask is not None and mask.any():
            self._masked_atoms += int(mask.sum())
            self._masked_structures += 1
        return frozenset(without)

    def state(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {
            "ranges": {key: vars(weights) for key, weights in self._ranges.items()},
            "masked": [self._masked_atoms, self._masked_structures],
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add the result of `state`; null stands for an initial value that is not finite."""
        for key, values in state["ranges"].items():
            other = _Range(**{k: v for k, v in values.items() if v is not None})
            weights_of_key = self._ranges.setdefault(key, _Range(other.label))
            weights_of_key.n, weights_of_key.n_zero = (
                weights_of_key.n + other.n,
                weights_of_key.n_zero + other.n_zero,
            )
            weights_of_key.low, weights_of_key.high = (
                min(weights_of_key.low, other.low),
                max(weights_of_key.high, other.high),
            )
        atoms, structures = state["masked"]
        self._masked_atoms += atoms
        self._masked_structures += structures

    def keys(self, *, masks: bool) -> set[str]:
        """Return the keys mentioned in the notes."""
        return {*self._ranges, *([FORCE_MASK] if masks and self._masked_atoms else [])}

    def notes(self, used: Iterable[str], *, masks: bool) -> list[str]:
        """Return notes about the labels that are used.

        Parameters
        ----------
        masks
            Whether masks in the files are applied.
        """
        used, lines = set(used), []
        for key, weights in self._ranges.items():
            if weights.label not in used:
                continue
            if weights.n_zero:
                verb = "are" if weights.label == "forces" else "is"
                lines.append(
                    f"The {weights.label} {verb} ignored in"
                    f" {counted(weights.n_zero, 'structure')}, where '{key}' is 0."
                )
            if weights.n_zero < weights.n and (weights.low, weights.high) != (1.0, 1.0):
                values = f"{weights.low:g}"
                values += f" to {weights.high:g}" if weights.high > weights.low else ""
                lines.append(
                    f"Nonzero values of '{key}' ({values}) are not used:"
                    " a structure has one weight for all labels (data.keys.weight)."
                )
        if masks and self._masked_atoms and "forces" in used:
            where = counted(self._masked_structures, "structure")
            lines.append(
                f"The forces on {counted(self._masked_atoms, 'atom')} in {where} are ignored,"
                f" where '{FORCE_MASK}' is true."
            )
        return lines
