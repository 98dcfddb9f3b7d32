"""Whether a structure still has the bonds of another one."""

from __future__ import annotations

import ase

from reann.learning.explore.trajectory import ratios

BOND = 1.3
"""Atoms closer than this many sums of covalent radii are bonded."""
BROKEN, FORMED = 1.7, 1.1
"""A bond beyond the first has broken; atoms that were no bond and are closer than the second form
one."""


class Bonds:
    """The bonds of a structure, by distances over sums of covalent radii."""

    def __init__(self, atoms: ase.Atoms) -> None:
        self.bonded = ratios(atoms) < BOND

    def change(self, atoms: ase.Atoms) -> str:
        """Return how the bonds have changed, or nothing."""
        now = ratios(atoms)
        if (now[self.bonded] > BROKEN).any():
            return "a bond broke"
        if (now[~self.bonded] < FORMED).any():
            return "a bond formed"
        return ""
