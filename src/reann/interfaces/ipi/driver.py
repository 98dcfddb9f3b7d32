"""The driver that i-PI calls, in its own process or through a socket.

    i-pi-driver-py -m custom -P DRIVER.py -u -a water -o model=water.reann,start=start.xyz

where DRIVER.py is this file. i-PI uses Bohr and Hartree, and cells with vectors as columns.
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
    """Energy, forces and virial of a `.reann` file; `start` defines elements and periodicity.

    The extras contain the dipole, if the potential has one, under the name and in the unit that
    i-PI expects (e Bohr).

    With an ensemble the extras contain `energy_std` in eV and the largest `forces_std` in eV/Å;
    for a calibrated potential, use `Potential.with_uncertainty`.
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
        """Return the answer for a structure, or the answers for a batch."""
        several = isinstance(cell, list)
        cells, positions = (cell, pos) if several else ([cell], [pos])
        structures = [self._structure(c, p) for c, p in zip(cells, positions, strict=True)]
        predictions = self.potential.predict(
            structures, self.names, spread=len(self.potential.members) > 1
        )
        assert isinstance(predictions, list)
        answers = [self._answer(prediction) for prediction in predictions]
        return answers if several else answers[0]

    def _structure(self, cell: NDArray, positions: NDArray) -> ase.Atoms:
        atoms = self.atoms.copy()
        atoms.set_cell(ANGSTROM * cell.T)
        atoms.positions[:] = ANGSTROM * positions
        return atoms

    def _answer(self, prediction: dict[str, Any]) -> Answer:
        extras: dict[str, Any] = {}
        if DIPOLE in prediction:
            extras[DIPOLE] = (np.asarray(prediction[DIPOLE], np.float64) / ANGSTROM).tolist()
        if "forces_std" in prediction:
            extras |= {
                "energy_std": float(prediction["energy_std"]),
                "forces_std": float(np.abs(prediction["forces_std"]).max()),
            }
        return (
            EV * float(prediction["energy"]),
            EV * ANGSTROM * np.asarray(prediction["forces"], np.float64),
            EV * np.asarray(prediction["virial"], np.float64),
            strict_json.dumps(extras),
        )
