"""Detection of broken and formed bonds."""

from __future__ import annotations

import ase

from reann.learning.explore.trajectory import ratios

BOND = 1.3
"""Atoms are bonded if their distance is below this multiple of the sum of the covalent radii."""
BROKEN, FORMED = 1.7, 1.1
"""Multiples of the sum of the covalent radii: a bond longer than the first has broken; unbonded
atoms closer than the second have formed a bond."""


class Bonds:
    """Bonds of a structure, from distances relative to sums of covalent radii."""

    def __init__(self, atoms: ase.Atoms) -> None:
        self.bonded = ratios(atoms) < BOND

    def change(self, atoms: ase.Atoms) -> str:
        """Return how the bonds have changed, empty if they have not."""
        now = ratios(atoms)
        if (now[self.bonded] > BROKEN).any():
            return "a bond broke"
        if (now[~self.bonded] < FORMED).any():
            return "a bond formed"
        return ""
