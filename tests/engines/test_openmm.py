"""OpenMM moves atoms by a potential as ASE does."""

from __future__ import annotations

import importlib.util
import os

import ase
import ase.build
import numpy as np
import pytest
from ase import units
from ase.constraints import FixAtoms, FixBondLength, FixCartesian
from ase.md.verlet import VelocityVerlet

import reann
from models import either_messages, random_model
from reann.calibration import Calibration, encoded
from reann.errors import UserError
from reann.model.last_layer import last_layer
from reann.potential import Ensemble, Potential

if importlib.util.find_spec("openmm") is None:
    if os.environ.get("CI"):
        pytest.fail("OpenMM is not installed, and CI is set", pytrace=False)
    pytest.skip("needs OpenMM", allow_module_level=True)

import openmm
from openmm import unit

from reann.interfaces.openmm import force_of, system_of

KJ_MOL = units.kJ / units.mol


def crystal() -> ase.Atoms:
    atoms = ase.build.bulk("C", "diamond", 3.6, cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.set_velocities(np.random.default_rng(1).normal(0, 0.02, (len(atoms), 3)))
    return atoms


def context_of(system: openmm.System, atoms: ase.Atoms, dt: float) -> openmm.Context:
    integrator = openmm.VerletIntegrator(dt * unit.femtosecond)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions * 0.1)
    return context


def slab() -> ase.Atoms:
    atoms = crystal()
    atoms.set_pbc((True, True, False))
    return atoms


@pytest.mark.parametrize(
    "atoms",
    [crystal(), slab(), ase.build.molecule("CH3CH2OH")],
    ids=["cell", "slab", "free"],
)
@either_messages
def test_energies_and_forces_are_those_of_python(messages, atoms, tmp_path):
    potential = Potential(random_model(messages=messages))
    potential.save(tmp_path / "a.reann")
    context = context_of(system_of(tmp_path / "a.reann", atoms), atoms, 0.1)
    state = context.getState(energy=True, forces=True)
    expected = potential.predict(atoms, ["energy", "forces"])
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) * KJ_MOL
    assert energy == pytest.approx(float(expected["energy"]), rel=1e-9)
    unit_of_force = unit.kilojoule_per_mole / unit.angstrom
    forces = state.getForces(asNumpy=True).value_in_unit(unit_of_force) * KJ_MOL
    np.testing.assert_allclose(forces, expected["forces"], atol=1e-6)


def test_the_uncertainty_of_a_calibrated_potential_is_not_computed(monkeypatch):
    potential, atoms = Potential(random_model()), crystal()
    changes = 1e-3 * np.random.default_rng(1).normal(size=(2, last_layer(potential.model).numel()))
    calibration = Calibration(kind="last layer", number=2, structures=9, draws=encoded(changes))
    potential.metadata |= calibration.metadata()
    assert "forces_std" in potential.predict(atoms)
    monkeypatch.setattr(Ensemble, "evaluate", None)
    state = context_of(system_of(potential, atoms), atoms, 0.1).getState(energy=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) * KJ_MOL
    expected = potential.predict(atoms, ["energy"], spread=False)["energy"]
    assert energy == pytest.approx(float(expected), rel=1e-9)


@either_messages
def test_it_moves_atoms_as_ase_does(messages):
    potential, atoms = Potential(random_model([6], seed=3, messages=messages)), crystal()
    context = context_of(system_of(potential, atoms), atoms, 0.1)
    # Its velocities are half a step behind.
    forces = potential.predict(atoms, ["forces"])["forces"] / atoms.get_masses()[:, None]
    dt = 0.1 * units.fs
    behind = atoms.get_velocities() - 0.5 * dt * forces
    context.setVelocities(behind * 0.1 * (1000.0 * units.fs))
    context.getIntegrator().step(20)
    found = context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    atoms.calc = reann.Calculator(potential)
    VelocityVerlet(atoms, dt).run(20)
    np.testing.assert_allclose(found, atoms.positions, atol=1e-5)


def test_it_can_be_the_force_of_some_particles():
    potential, molecule = Potential(random_model()), ase.build.molecule("CH4")
    system = openmm.System()
    for _ in range(7):
        system.addParticle(10.0)
    force = force_of(potential, molecule)
    force.setParticles([1, 2, 3, 4, 5])
    system.addForce(force)
    everything = ase.Atoms("ArCH4Ar", np.zeros((7, 3)))
    everything.positions[1:6] = molecule.positions
    everything.positions[6] = 9.0
    context = context_of(system, everything, 0.1)
    forces = context.getState(forces=True).getForces(asNumpy=True)
    forces = forces.value_in_unit(unit.kilojoule_per_mole / unit.angstrom) * KJ_MOL
    expected = potential.predict(molecule, ["forces"])["forces"]
    np.testing.assert_allclose(forces[1:6], expected, atol=1e-6)
    assert not forces[[0, 6]].any()


def test_fixed_atoms_stay_and_other_constraints_are_refused():
    atoms = crystal()
    atoms.set_masses([13.0, *atoms.get_masses()[1:]])
    atoms.set_constraint(FixAtoms([1, 4]))
    system = system_of(Potential(random_model()), atoms)
    assert system.getParticleMass(0).value_in_unit(unit.dalton) == 13.0
    context = context_of(system, atoms, 1.0)
    context.getIntegrator().step(3)
    state = context.getState(getPositions=True)
    moved = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom) - atoms.positions
    still = np.flatnonzero(np.abs(moved).max(axis=1) < 1e-9)
    assert still.tolist() == [1, 4]
    for constraint in (FixBondLength(0, 1), FixCartesian(0, mask=[True, False, False])):
        atoms.set_constraint(constraint)
        with pytest.raises(UserError, match="Only fully fixed atoms"):
            system_of(Potential(random_model()), atoms)
