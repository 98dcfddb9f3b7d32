"""The driver that i-PI calls, in its own process or through a socket.

    i-pi-driver-py -m custom -P DRIVER.py -u -a water -o model=water.reann,start=start.xyz

where DRIVER.py is this file. i-PI counts in Bohr and Hartree, cells have their vectors as columns.
"""

from __future__ import annotations

from typing import Any

import ase
import ase.io
import numpy as np
from ipi.pes.dummy import Dummy_driver
from ipi.utils.units import unit_to_internal, unit_to_user
from numpy.typing import NDArray

from reann import strict_json
from reann.potential import load

__DRIVER_NAME__ = "reann"
__DRIVER_CLASS__ = "Driver"

ANGSTROM = unit_to_user("length", "angstrom", 1.0)
"""Å per Bohr."""
EV = unit_to_internal("energy", "electronvolt", 1.0)
"""Hartree per eV."""
NAMES = ("energy", "forces", "virial")
DIPOLE = "dipole"
Answer = tuple[float, NDArray[np.float64], NDArray[np.float64], str]
"""Energy, forces, virial and more as JSON, in the units of i-PI."""


class Driver(Dummy_driver):
    """Energy, forces and virial of a `.reann` file; `start` has the elements, and what is periodic.

    The extras hold the dipole of a potential that has one, under the name and in the unit that i-PI
    reads it, e Bohr.

    With an ensemble the extras hold `energy_std` in eV and `forces_std` in eV/Å, the largest. Of a
    calibrated potential, `Potential.with_uncertainty` is such an ensemble.
    """

    def __init__(self, model: str, start: str, *args: Any, **more: Any) -> None:
        self.potential = load(model)
        atoms = ase.io.read(start, 0)
        assert isinstance(atoms, ase.Atoms)
        self.atoms = atoms
        dipole = [DIPOLE] if DIPOLE in self.potential.model.output_names else []
        self.names = [*NAMES, *dipole]
        super().__init__(*args, **more)

    def compute(self, cell: Any, pos: Any) -> Any:
        """Return the answer for a structure, or those of a list of them, a batch of i-PI."""
        several = isinstance(cell, list)
        cells, positions = (cell, pos) if several else ([cell], [pos])
        structures = [self._structure(c, p) for c, p in zip(cells, positions, strict=True)]
        found = self.potential.predict(
            structures, self.names, spread=len(self.potential.members) > 1
        )
        assert isinstance(found, list)
        answers = [self._answer(one) for one in found]
        return answers if several else answers[0]

    def _structure(self, cell: NDArray, positions: NDArray) -> ase.Atoms:
        atoms = self.atoms.copy()
        atoms.set_cell(ANGSTROM * cell.T)
        atoms.positions[:] = ANGSTROM * positions
        return atoms

    def _answer(self, found: dict[str, Any]) -> Answer:
        extras: dict[str, Any] = {}
        if DIPOLE in found:
            extras[DIPOLE] = (np.asarray(found[DIPOLE], np.float64) / ANGSTROM).tolist()
        if "forces_std" in found:
            extras |= {
                "energy_std": float(found["energy_std"]),
                "forces_std": float(np.abs(found["forces_std"]).max()),
            }
        return (
            EV * float(found["energy"]),
            EV * ANGSTROM * np.asarray(found["forces"], np.float64),
            EV * np.asarray(found["virial"], np.float64),
            strict_json.dumps(extras),
        )
