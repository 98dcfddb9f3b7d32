"""Labels of liquid water in fields, moved to one branch.

The dipole of a cell is defined up to a polarization quantum, the elementary charge times a lattice
vector, and its energy in a field up to the field times the quantum. The source gives the smallest
dipole, so both jump from structure to structure. A dipole of whole molecules is continuous.
"""

from __future__ import annotations

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

CHARGE = 0.5
"""Charge of H in e; with -2 CHARGE of O, molecules in liquid water have a dipole of about 3 D."""
CLEAR = 1.0 / 3.0
"""The branch is clear if the estimate is closer to it than this fraction of the cell's length."""


def on_one_branch(frames: list[ase.Atoms]) -> list[ase.Atoms]:
    """Move dipoles and energies to the branch of whole molecules, in orthorhombic cells.

    If molecules exchange a proton, or no branch is clear, both labels are removed.
    """
    for atoms in frames:
        assert atoms.calc is not None
        labels = {name: atoms.calc.results[name] for name in ("energy", "forces", "dipole")}
        lengths, field = atoms.cell.lengths(), np.array(atoms.info["external_field"], dtype=float)
        estimate = _of_molecules(atoms)
        if estimate is not None:
            estimate += np.reshape(atoms.info["polarizability"], (3, 3)) @ field
            quanta = np.round((estimate - labels["dipole"]) / lengths)
            shift = quanta * lengths
            labels["dipole"] = labels["dipole"] + shift
            labels["energy"] = labels["energy"] - shift @ field
        if estimate is None or (abs(labels["dipole"] - estimate) > CLEAR * lengths).any():
            del labels["dipole"], labels["energy"]
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return frames


def _of_molecules(atoms: ase.Atoms) -> NDArray[np.float64] | None:
    """Return the dipole of point charges; None unless every O is nearest to exactly two H."""
    is_hydrogen = atoms.numbers == 1
    bonds = atoms.positions[is_hydrogen][:, None] - atoms.positions[~is_hydrogen]
    lengths = atoms.cell.lengths()
    bonds -= np.round(bonds / lengths) * lengths
    nearest = np.linalg.norm(bonds, axis=2).argmin(1)
    if (np.bincount(nearest, minlength=bonds.shape[1]) != 2).any():
        return None
    return CHARGE * bonds[np.arange(len(bonds)), nearest].sum(0)
