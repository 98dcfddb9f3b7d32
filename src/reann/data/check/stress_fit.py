"""Checks of stresses against the forces of the same structures, without close structures.

Pair forces are fitted to the forces. Their stress does not describe how the energy depends on the
volume, so only the deviatoric part of the stress is compared. If the correlation is high, this
determines the order and the sign, and the magnitude within a factor of about seven.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from reann.data.check import components
from reann.data.check.finding import MOST_EXAMPLES, Finding
from reann.data.check.outliers import A_FEW, FEW
from reann.data.check.pair_model import VOIGT_COLUMNS, VOIGT_ROWS, PairModel

Array = NDArray[np.float64]

MOST_STRUCTURES, MOST_ATOMS = 60, 6_000
"""Maximum number of fitted structures, and of atoms in them."""
FEWEST = 15
"""Minimum number of structures with forces for a meaningful fit."""
CUTOFF = 5.0
"""Å."""
ALIGNED, CERTAIN = 0.6, 0.75
"""Correlation above which the magnitude is meaningful, and above which a mismatch is an error."""
WORSE, MOST_DEVIATING = 1.7, 6.0
"""Minimum residual of a wrong stress over the fitted stress (2 for a wrong sign), and over the
typical residual."""
NOISE = 0.1
"""Fraction of typical forces below which the forces of a structure are not fitted."""
UNLIKELY, IMPOSSIBLE = 40.0, 100.0
"""Ratio of given to fitted stresses: 0.3 to 7 for correct stresses."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A structure kept for the fit."""

    origin: str
    atoms: Atoms
    forces: Array
    stress: Array
    """xx yy zz yz xz xy, eV/Å^3."""


class StressFit:
    """Keeps structures with forces and stresses, evenly spaced among all that are added."""

    def __init__(self) -> None:
        self._kept: list[Sample] = []
        self._stride, self._count = 1, 0

    def add(self, atoms: Atoms, origin: str, labels: Mapping[str, Any]) -> None:
        """Keep a structure with forces and stress if it is its turn."""
        forces, stress = labels.get("forces"), labels.get("stress")
        if forces is None or stress is None or np.size(stress) != 9 or not atoms.pbc.all():
            return
        self._count += 1
        if (self._count - 1) % self._stride or not 1 < len(atoms) <= MOST_ATOMS // 10:
            return
        values = (atoms.positions, atoms.cell.array, forces, stress)
        if not all(np.isfinite(value).all() for value in values) or not np.any(forces):
            return
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        voigt = np.reshape(stress, (3, 3))[VOIGT_ROWS, VOIGT_COLUMNS]
        self._kept.append(Sample(origin, bare, np.array(forces, float), np.array(voigt, float)))
        if len(self._kept) == 2 * MOST_STRUCTURES:
            self._kept = self._kept[::2]
            self._stride *= 2

    def findings(self) -> list[Finding]:
        """Return the findings about shear components, sign and unit of the stresses."""
        samples = self._chosen()
        sizes = np.array([np.sqrt(np.mean(s.forces**2)) for s in samples])
        # The forces of a nearly perfect crystal are noise.
        moving = sizes > NOISE * np.percentile(sizes, 80) if len(samples) else sizes
        if np.count_nonzero(moving) < FEWEST:
            return []
        model = PairModel(sorted({int(z) for s in samples for z in s.atoms.numbers}), CUTOFF)
        for sample, counts in zip(samples, moving, strict=True):
            if counts:
                model.add(sample.atoms, sample.forces)
        coefficients = model.solve()
        fitted = [
            model.design(s.atoms).strain @ coefficients / s.atoms.get_volume() for s in samples
        ]
        groups = [s.atoms.get_chemical_formula("reduce") for s in samples]
        labels, fitted = (
            _shape_changing(_without_means(np.array(values), groups))
            for values in ([s.stress for s in samples], fitted)
        )
        findings = [
            _size(labels, fitted),
            components.by_fit(labels, fitted, [s.origin for s in samples]),
        ]
        return [f for f in findings if f is not None]

    def _chosen(self) -> list[Sample]:
        """Return evenly spaced structures within the limits of the fit."""
        count = min(MOST_STRUCTURES, len(self._kept))
        rows = np.linspace(0, len(self._kept) - 1, count).astype(int) if count else []
        samples = [self._kept[i] for i in rows]
        atoms = np.cumsum([len(s.atoms) for s in samples])
        stride = int(np.ceil(atoms[-1] / MOST_ATOMS)) if count else 1
        return samples[::stride]


def _without_means(values: Array, groups: list[str]) -> Array:
    """Subtract the median of the structures of each formula, which pair forces may not describe."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    centered = values.copy()
    for rows in members.values():
        if len(rows) > 2:
            centered[rows] -= np.median(values[rows], axis=0)
    return centered


def _shape_changing(stress: Array) -> Array:
    """Return xx-yy, yy-zz and zz-xx, halved, and yz xz xy, (structures, 6)."""
    diagonal = stress[:, :3]
    return np.hstack([(diagonal - np.roll(diagonal, -1, axis=1)) / 2, stress[:, 3:]])


def _size(labels: Array, fitted: Array) -> Finding | None:
    whole = (labels, fitted)
    parts = [whole, (labels[:, 3:], fitted[:, 3:])]
    aligned, (labels, fitted) = max(
        ((components.similarity(*part), part) for part in parts), key=lambda known: abs(known[0])
    )
    large, small = np.linalg.norm(labels, axis=1), np.linalg.norm(fitted, axis=1)
    clear = (small >= np.median(small)) & (small > 0)
    if abs(aligned) < ALIGNED or not clear.any():
        return None
    ratio = float(np.median(large[clear] / small[clear]))
    compared = f"pair forces fitted to the forces of {len(labels)} structures"
    if aligned < 0 and components.similarity(*(x[:, :3] for x in whole)) > components.UNRELATED:
        return None  # only the shear, which `components` checks
    if aligned < 0:
        what = f"the stresses have the opposite sign of the stresses of {compared}"
        what += f" (correlation {aligned:.2f})"
    elif 1 / UNLIKELY < ratio < UNLIKELY:
        return None
    else:
        what = f"the stresses are {ratio:.2g} times those of {compared} (correlation {aligned:.2f};"
        what += " 0.3 to 7 is usual): the unit of stress or forces is wrong, or a virial was read"
        what += " as a stress"
    certain = abs(aligned) > CERTAIN and (aligned < 0 or not 1 / IMPOSSIBLE < ratio < IMPOSSIBLE)
    return Finding(
        "stress-beside-forces",
        "error" if certain else "warning",
        what,
        "Set the unit with `data: {units: {stress: UNIT}}`, or read a virial in eV with "
        "`keys: {virial: KEY}`; correct a wrong sign in the file.",
        len(labels),
        option="--unit stress=UNIT, --key virial=KEY",
    )


def single_stresses(stresses: Sequence[tuple[str, Array, Array]]) -> Finding | None:
    """Return the stresses that deviate strongly from a pair fit that describes the others.

    Parameters
    ----------
    stresses
        Origin, label and fitted stress (6,) of each structure.
    """
    if len(stresses) < FEWEST:
        return None
    labels, fitted = (_shape_changing(np.array([row[i] for row in stresses])) for i in (1, 2))
    aligned = components.similarity(labels, fitted)
    size, large = np.linalg.norm(fitted, axis=1), np.linalg.norm(labels, axis=1)
    clear = size > np.median(size) / 2
    if aligned < CERTAIN or not clear.any():
        return None
    slope = float(np.median(np.sum(labels * fitted, axis=1)[clear] / size[clear] ** 2))
    residual = np.linalg.norm(labels - slope * fitted, axis=1) / np.maximum(slope * size, 1e-12)
    typical = float(np.median(residual[clear]))
    bad = [
        i
        for i in np.flatnonzero(clear).tolist()
        if residual[i] > max(WORSE, MOST_DEVIATING * typical) or large[i] == 0.0
    ]
    if not 0 < len(bad) <= max(FEW * len(labels), A_FEW):
        return None
    cosine = np.sum(labels * fitted, axis=1) / np.maximum(size * large, 1e-12)
    return Finding(
        "fit-stresses",
        "warning",
        "stresses deviate strongly from those of pair forces fitted to the forces: the typical "
        f"deviation is {typical:.0%} of the fitted stresses",
        "Check sign, unit and order of components of these structures.",
        len(bad),
        tuple(
            f"{stresses[i][0]} (correlation {cosine[i]:.2f}, {large[i] / (slope * size[i]):.2g} "
            "times the fitted size)"
            for i in bad[:MOST_EXAMPLES]
        ),
    )
