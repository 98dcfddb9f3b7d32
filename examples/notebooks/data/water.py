"""Write water.xyz.gz: liquid water from a flexible force field, as data for the notebook on water.

Flexible TIP3P with particle-mesh Ewald in OpenMM, 64 molecules at 0.997 g/cm3 and 300 K; structures
every 1 ps after 10 ps. Also prints the diffusion coefficient of oxygen, from three NVE runs.

    python examples/notebooks/data/water.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from openmm import app, unit

N_MOLECULES, N_STRUCTURES, STEP_PS = 64, 80, 0.0005
LENGTH = (N_MOLECULES * 18.01528 / 0.997 / 0.602214076) ** (1 / 3)
FORCE = unit.kilojoule_per_mole / unit.nanometer
EV = 96.48533212  # kJ/mol


def box(rng: np.random.Generator) -> Atoms:
    """Return molecules on a grid with random orientations."""
    grid = np.array([(i, j, k) for i in range(4) for j in range(4) for k in range(4)])
    atoms = Atoms(cell=[LENGTH] * 3, pbc=True)
    for corner in grid:
        water = molecule("H2O")
        water.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        water.translate((corner + 0.5) * LENGTH / 4 - water.positions.mean(0))
        atoms += water
    return atoms


def simulation(atoms: Atoms) -> app.Simulation:
    """Return the simulation at 300 K."""
    topology, elements = app.Topology(), {"O": app.element.oxygen, "H": app.element.hydrogen}
    chain = topology.addChain()
    for _ in range(N_MOLECULES):
        residue = topology.addResidue("HOH", chain)
        oxygen, *hydrogens = (
            topology.addAtom(name, elements[name[0]], residue) for name in ("O", "H1", "H2")
        )
        for hydrogen in hydrogens:
            topology.addBond(oxygen, hydrogen)
    topology.setPeriodicBoxVectors(np.eye(3) * LENGTH * 0.1 * unit.nanometer)
    field = app.ForceField("amber14/tip3p.xml")
    system = field.createSystem(
        topology, nonbondedMethod=app.PME, nonbondedCutoff=0.55 * unit.nanometer, rigidWater=False
    )
    integrator = openmm.LangevinMiddleIntegrator(300, 1, STEP_PS)
    made = app.Simulation(topology, system, integrator)
    made.context.setPositions(atoms.positions * 0.1)
    made.minimizeEnergy()
    made.context.setVelocitiesToTemperature(300, 1)
    return made


def labeled(atoms: Atoms, context: openmm.Context) -> Atoms:
    """Return the present structure with energy and forces in eV and Å."""
    state = context.getState(getPositions=True, getEnergy=True, getForces=True)
    copy = atoms.copy()
    copy.positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom).round(5)
    copy.wrap()
    copy.calc = SinglePointCalculator(
        copy,
        energy=round(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) / EV, 6),
        forces=(state.getForces(asNumpy=True).value_in_unit(FORCE) / EV / 10).round(5),
    )
    return copy


def diffusion(atoms: Atoms, made: app.Simulation, ps: float = 30.0) -> tuple[float, float]:
    """Return the diffusion coefficient of oxygen in Å²/ps and the temperature in K, from NVE."""
    context = openmm.Context(made.system, openmm.VerletIntegrator(STEP_PS))
    state = made.context.getState(getPositions=True, getVelocities=True)
    context.setPositions(state.getPositions())
    context.setVelocities(state.getVelocities())
    positions, kinetic = [], []
    for _ in range(int(ps / 0.1)):
        context.getIntegrator().step(round(0.1 / STEP_PS))
        state = context.getState(getPositions=True, getEnergy=True)
        x = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        positions.append(x[atoms.numbers == 8])
        kinetic.append(state.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole))
    x = np.array(positions)
    lags = np.arange(10, 30)  # 1 to 3 ps
    msd = [np.mean(((x[lag:] - x[:-lag]) ** 2).sum(-1)) for lag in lags]
    temperature = 2 * np.mean(kinetic) / (3 * len(atoms) - 3) / 8.31446e-3
    return np.polyfit(0.1 * lags, msd, 1)[0] / 6, temperature


def main() -> None:
    """Write the structures and print the diffusion coefficient."""
    atoms = box(np.random.default_rng(1))
    made = simulation(atoms)
    made.step(round(10 / STEP_PS))
    structures = []
    for _ in range(N_STRUCTURES):
        made.step(round(1 / STEP_PS))
        structures.append(labeled(atoms, made.context))
    write(Path(__file__).with_name("water.xyz.gz"), structures)
    runs = []
    for _ in range(3):
        made.step(round(5 / STEP_PS))
        runs.append(diffusion(atoms, made))
    (mean, temperature), error = np.mean(runs, 0), np.std(runs, 0, ddof=1)[0] / np.sqrt(len(runs))
    print(f"D = {mean:.3f} ± {error:.3f} Å²/ps at {temperature:.0f} K")


if __name__ == "__main__":
    main()
