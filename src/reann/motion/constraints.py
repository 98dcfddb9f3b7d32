"""What the constraints of a structure fix, for files and programs that know no others."""

from __future__ import annotations

import ase
import numpy as np
from ase.constraints import FixAtoms, FixCartesian
from numpy.typing import NDArray


def fixed_directions(
    atoms: ase.Atoms, *, turned: bool = False
) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which Cartesian directions of each atom are fixed, (atoms, 3), and what else there is.

    The second value holds the names of the constraints that are no fixed directions, such as
    `FixBondLengths`.

    Parameters
    ----------
    turned
        Whether the structure is turned for another program: then an atom can be fixed as a whole,
        but not along some axes only.
    """
    fixed = np.zeros((len(atoms), 3), dtype=bool)
    others = []
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed[constraint.index] = True
        elif isinstance(constraint, FixCartesian):
            mask = np.asarray(constraint.mask, dtype=bool)
            if turned and mask.any() and not mask.all():
                others.append("FixCartesian, as the axes are turned")
            else:
                fixed[constraint.index] |= mask
        else:
            others.append(type(constraint).__name__)
    return fixed, sorted(set(others))
