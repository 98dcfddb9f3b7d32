"""Fixed Cartesian directions of a structure, for files and programs without other constraints."""

from __future__ import annotations

import ase
import numpy as np
from ase.constraints import FixAtoms, FixCartesian
from numpy.typing import NDArray


def fixed_directions(
    atoms: ase.Atoms, *, turned: bool = False
) -> tuple[NDArray[np.bool_], list[str]]:
    """Return the fixed Cartesian directions of each atom, (atoms, 3), and other constraints.

    The second value is the list of names of constraints other than fixed directions, such as
    `FixBondLengths`.

    Parameters
    ----------
    turned
        Whether the structure is rotated for another program: atoms can then only be fixed
        completely, not along single axes.
    """
    fixed = np.zeros((len(atoms), 3), dtype=bool)
    others = []
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed[constraint.index] = True
        elif isinstance(constraint, FixCartesian):
            mask = np.asarray(constraint.mask, dtype=bool)
            if turned and mask.any() and not mask.all():
                others.append("FixCartesian, as the axes are rotated")
            else:
                fixed[constraint.index] |= mask
        else:
            others.append(type(constraint).__name__)
    return fixed, sorted(set(others))
