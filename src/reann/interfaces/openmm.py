"""OpenMM: a potential as a force on all or some particles.

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

    `atoms` has the elements in the order of the particles, and the periodicity: if all axes are
    periodic, the cell is that of OpenMM, else that of `atoms`. An ensemble contributes its mean.
    For a subset of the particles use `force.setParticles(indices)`, with `atoms` of the subset.
    """
    known = load(potential) if isinstance(potential, str | Path) else potential
    structure = atoms.copy()
    structure.calc = None

    def compute(state: Any) -> tuple[float, Any]:
        structure.positions[:] = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        if structure.pbc.all():
            box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
            structure.set_cell(box)
        # Standard deviations, which OpenMM does not use, would multiply the time of each step.
        results = known.predict(structure, ["energy", "forces"], spread=False)
        assert isinstance(results, dict)
        return float(results["energy"]) * mol / kJ, results["forces"] * (mol / kJ * nm)

    force = openmm.PythonForce(compute)
    force.setUsesPeriodicBoundaryConditions(bool(structure.pbc.all()))
    return force


def system_of(potential: Reann, atoms: ase.Atoms) -> openmm.System:
    """Return a system of these atoms with cell and masses, and the potential as the only force.

    Atoms fixed by `FixAtoms` get zero mass, which fixes them in OpenMM; `UserError` for other
    constraints.
    """
    fixed, others = fixed_directions(atoms)
    still = fixed.all(axis=1)
    if others or (fixed.any(axis=1) & ~still).any():
        raise UserError(
            "Only fully fixed atoms are supported as constraints for OpenMM.",
            listed(others or ["FixCartesian"]),
            "Remove the others from the structure, and add constraints of OpenMM to the system.",
        )
    system = openmm.System()
    for mass in np.where(still, 0.0, atoms.get_masses()):
        system.addParticle(float(mass))
    if atoms.pbc.all():
        vectors = [openmm.Vec3(*map(float, row)) for row in atoms.cell.array / nm]
        system.setDefaultPeriodicBoxVectors(*vectors)
    system.addForce(force_of(potential, atoms))
    return system
