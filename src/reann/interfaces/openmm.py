"""OpenMM: a potential as one of its forces, of all particles or of some.

import openmm
from reann.interfaces.openmm import system_of

system = system_of("water.reann", atoms)        # particles, cell and force
context = openmm.Context(system, openmm.LangevinMiddleIntegrator(...))
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import numpy as np
import openmm
from ase.units import kJ, mol, nm
from openmm import unit

from reann.errors import UserError, listed
from reann.motion.constraints import fixed_directions
from reann.potential import Ensemble, Potential, load

Reann = Potential | Ensemble | str | Path


def force_of(potential: Reann, atoms: ase.Atoms) -> openmm.PythonForce:
    """Return the force of a potential, or of its file, on all particles of a system.

    `atoms` tells the elements, in the order of the particles, and which axes are periodic: the cell
    is that of OpenMM where all are, else that of `atoms`. The mean of an ensemble counts. For some
    particles of a system only: `force.setParticles(indices)`, and `atoms` of those.
    """
    known = load(potential) if isinstance(potential, str | Path) else potential
    structure = atoms.copy()
    structure.calc = None

    def compute(state: Any) -> tuple[float, Any]:
        structure.positions[:] = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        if structure.pbc.all():
            box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
            structure.set_cell(box)
        found = known.predict(structure, ["energy", "forces"])
        assert isinstance(found, dict)
        return float(found["energy"]) * mol / kJ, found["forces"] * (mol / kJ * nm)

    force = openmm.PythonForce(compute)
    force.setUsesPeriodicBoundaryConditions(bool(structure.pbc.all()))
    return force


def system_of(potential: Reann, atoms: ase.Atoms) -> openmm.System:
    """Return a system of these atoms, with their cell and masses, that only a potential moves.

    Atoms fixed by `FixAtoms` have no mass, by which OpenMM keeps them where they are; `UserError`
    for other constraints.
    """
    fixed, others = fixed_directions(atoms)
    still = fixed.all(axis=1)
    if others or (fixed.any(axis=1) & ~still).any():
        raise UserError(
            "OpenMM gets no other constraints than whole atoms that are fixed.",
            listed(others or ["FixCartesian"]),
            "Remove them from the structure, and add those of OpenMM to the system.",
        )
    system = openmm.System()
    for mass in np.where(still, 0.0, atoms.get_masses()):
        system.addParticle(float(mass))
    if atoms.pbc.all():
        vectors = [openmm.Vec3(*map(float, row)) for row in atoms.cell.array / nm]
        system.setDefaultPeriodicBoxVectors(*vectors)
    system.addForce(force_of(potential, atoms))
    return system
