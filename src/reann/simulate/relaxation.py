"""`Relaxation`: the relaxed structure, and energy and forces of each step."""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np
from numpy.typing import NDArray

from reann.display import Displayed, Summary
from reann.report.course import course
from reann.report.figure import Figure, figure_of
from reann.table import Table


@dataclass(frozen=True, repr=False)
class Relaxation(Displayed):
    """The result of a relaxation; arrays have an entry for the start and for each step."""

    atoms: ase.Atoms
    """The relaxed structure, with its calculator."""
    converged: bool
    """Whether the largest force is below the limit."""
    energies: NDArray[np.float64]
    """eV."""
    forces: NDArray[np.float64]
    """Largest force on an atom, eV/Å; with a cell including its generalized force."""

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.energies) - 1

    @property
    def energy(self) -> float:
        """Energy at the end, eV."""
        return float(self.energies[-1])

    @property
    def fmax(self) -> float:
        """Largest force at the end, eV/Å."""
        return float(self.forces[-1])

    def table(self) -> Table:
        """Return energy and largest force of each step."""
        columns = (range(len(self.energies)), self.energies.tolist(), self.forces.tolist())
        names, formats = ("step", "energy, eV", "largest force, eV/Å"), ("", ".5f", ".4f")
        return Table(names, list(zip(*columns, strict=True)), formats)

    def plot(self) -> Figure:
        """Return energy and largest force over the steps."""
        steps = np.arange(len(self.energies), dtype=float)
        change = self.energies - self.energies[0]
        plots = [
            course(steps, change, "step", "change of energy, eV"),
            course(steps, self.forces, "step", "largest force, eV/Å", logarithmic=True),
        ]
        return figure_of("Relaxation", plots)

    def _summary(self) -> Summary:
        rows = [
            ("structure", f"{self.atoms.get_chemical_formula()}, {len(self.atoms)} atoms"),
            ("converged", f"{'yes' if self.converged else 'no'}, steps: {self.steps}"),
            ("energy", f"{self.energy:.5f} eV"),
            ("largest force", f"{self.fmax:.4f} eV/Å"),
        ]
        return Summary("Relaxation", rows)
