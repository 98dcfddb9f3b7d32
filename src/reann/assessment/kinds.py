"""Kind of system of a structure: molecule, liquid, crystal or surface.

The kind decides which checks are run. It follows from the structure alone, so that the same file
always gets the same checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import ase
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray


class Kind(str, Enum):
    """Kinds of systems."""

    molecule = "molecule"
    liquid = "liquid"
    crystal = "crystal"
    surface = "surface"


VACUUM = 5.0
"""Å; a wider layer without atoms is vacuum."""
FEWEST_DISORDERED = 20
"""A periodic structure with fewer atoms counts as a crystal: disorder cannot be recognized."""
LARGEST_WAVENUMBER = 5.0
"""Largest wavenumber of the Bragg peaks that are searched, 1/Å."""
ORDERED = 0.5
"""Fraction of the largest possible Bragg intensity. Thermal vibration at 300 K leaves more than 0.8
of a strong peak; liquids of a few dozen atoms reach 0.3."""


@dataclass(frozen=True)
class Decision:
    """Kind of a structure, with the reason in words."""

    kind: Kind
    reason: str


def kind_of(atoms: ase.Atoms) -> Decision:
    """Return the kind of a structure.

    A structure that is not periodic, or has vacuum along all axes, is a molecule; with vacuum along
    some axes it is a surface. A structure that fills its cell is a crystal if the atoms of an
    element have a strong Bragg peak, else a liquid. Glasses count as liquids.
    """
    if not atoms.pbc.any():
        return Decision(Kind.molecule, "the structure is not periodic")
    gaps = [vacuum(atoms, axis) for axis in range(3)]
    open_axes = [not atoms.pbc[i] or gaps[i] > VACUUM for i in range(3)]
    if all(open_axes):
        return Decision(Kind.molecule, f"the cell has at least {min(gaps):.1f} Å of vacuum")
    if any(open_axes):
        widest = max(gap for gap, is_open in zip(gaps, open_axes, strict=True) if is_open)
        return Decision(
            Kind.surface, f"the cell has {widest:.1f} Å of vacuum along one or two axes"
        )
    if len(atoms) < FEWEST_DISORDERED:
        return Decision(Kind.crystal, "the structure is periodic and has few atoms")
    intensity, symbol = strongest_peak(atoms)
    about = (
        f"the strongest Bragg peak of {symbol} has {intensity:.2f} of the intensity in perfect"
        f" order; crystals have at least {ORDERED:g}"
    )
    return Decision(Kind.crystal if intensity >= ORDERED else Kind.liquid, about)


def vacuum(atoms: ase.Atoms, axis: int) -> float:
    """Return the width of the widest empty layer between planes of a cell, Å."""
    if not atoms.pbc[axis]:
        return np.inf
    normal = np.linalg.inv(atoms.cell.array)[:, axis]
    height = 1.0 / np.linalg.norm(normal)
    along = np.sort((atoms.positions @ normal) % 1.0)
    return float(np.diff(along, append=along[0] + 1.0).max() * height)


def strongest_peak(atoms: ase.Atoms) -> tuple[float, str]:
    """Return the largest |sum exp(i k r)|^2 / N^2 over the elements and k, and the element.

    k are reciprocal vectors of the cell up to `LARGEST_WAVENUMBER`. Sums over few atoms are large
    by chance, so elements with few atoms count only if there are no others.
    """
    vectors = reciprocal_vectors(atoms)
    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    enough = numbers[counts >= min(FEWEST_DISORDERED, counts.max())]
    best = (0.0, chemical_symbols[int(numbers[0])])
    for z in enough:
        phases = atoms.positions[atoms.numbers == z] @ vectors.T
        intensity = np.cos(phases).mean(0) ** 2 + np.sin(phases).mean(0) ** 2
        best = max(best, (float(intensity.max(initial=0.0)), chemical_symbols[int(z)]))
    return best


def reciprocal_vectors(atoms: ase.Atoms) -> NDArray[np.float64]:
    """Return 2 pi times the reciprocal vectors up to `LARGEST_WAVENUMBER`, without zero, (k, 3)."""
    reciprocal = 2.0 * np.pi * np.linalg.inv(atoms.cell.array).T
    reach = np.ceil(LARGEST_WAVENUMBER * atoms.cell.lengths() / (2.0 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1)
    vectors = grid.reshape(-1, 3) @ reciprocal
    lengths = np.linalg.norm(vectors, axis=1)
    return vectors[(lengths > 1e-9) & (lengths <= LARGEST_WAVENUMBER)]
