"""Symmetry: the energy is invariant to rotation, translation, inversion and permutation."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.figures import log_bars
from reann.assessment.outcome import Outcome, graded
from reann.assessment.words import short

ROUNDING, BROKEN = 1e-6, 1e-3
"""eV/Å; rounding errors in double precision are far below the first; the second is 1 meV/Å."""
MOST_ATOMS_OF_SUPERCELL = 2000

Matrix = NDArray[np.float64]


def run(case: Case) -> Outcome:
    """Compare the forces of transformed structures with the transformed forces."""
    rng = case.rng("symmetry")
    start = rattled(case.start(), 0.02, rng)
    before = start.get_forces()
    energy = start.get_potential_energy()
    errors, of_energy = {}, {}
    transformed = transformations(start, rng)
    for number, (name, (atoms, forces)) in enumerate(transformed.items()):
        atoms.calc = case.exact
        multiple = len(atoms) / len(start)
        errors[name] = float(np.abs(atoms.get_forces() - forces(before)).max())
        of_energy[name] = abs(atoms.get_potential_energy() / multiple - energy) / len(start)
        case.advance((number + 1) / len(transformed))
    if not start.constraints:
        errors["sum of the forces"] = float(np.abs(before.sum(0)).max())
    if not start.pbc.any():
        torque = np.cross(start.positions - start.get_center_of_mass(), before).sum(0)
        errors["torque"] = float(np.abs(torque).max())
    noise = single_precision_noise(start, before, case.calculator)
    largest = max(errors.values())
    name = max(errors, key=lambda key: errors[key])
    return Outcome(
        graded(max(largest, *of_energy.values()), ROUNDING, BROKEN),
        f"In double precision, the largest deviation of a force is {short(largest)} eV/Å ({name})"
        f" and of the energy {short(max(of_energy.values()))} eV/atom. In the default precision,"
        f" forces differ from these by at most {short(noise)} eV/Å.",
        f"Deviations below {short(ROUNDING)} eV/Å (and eV/atom) are rounding errors; from"
        f" {BROKEN:g} eV/Å a symmetry is broken, and momentum or energy is not conserved.",
        (
            log_bars(
                errors,
                ROUNDING,
                xlabel="largest deviation of a force, eV/Å"
                + ("" if start.pbc.any() else " (torque: eV)"),
                caption="Deviations after symmetry operations; dashed: the limit",
                least=1e-16,
            ),
        ),
        {
            "forces_eV_per_A": errors,
            "energy_eV_per_atom": of_energy,
            "noise_of_default_precision_eV_per_A": noise,
        },
    )


def transformations(
    start: ase.Atoms, rng: np.random.Generator
) -> dict[str, tuple[ase.Atoms, Callable[[Matrix], Matrix]]]:
    """Return transformed structures, and the functions that transform the forces likewise."""
    turn = random_rotation(rng)
    order = rng.permutation(len(start))
    mirror = -np.eye(3)
    shift = rng.uniform(-3.0, 3.0, 3)
    moved = start.copy()
    moved.positions += shift
    result = {
        "rotation": (turned(start, turn), lambda f: f @ turn.T),
        "inversion": (turned(start, mirror), lambda f: -f),
        "translation": (moved, lambda f: f),
        "permutation": (start[order], lambda f: f[order]),
    }
    if start.pbc.any():
        wrapped = start.copy()
        wrapped.positions += rng.integers(-2, 3, (len(start), 3)) * start.pbc @ start.cell.array
        result["periodic images"] = (wrapped, lambda f: f)
        repeats = [2 if periodic else 1 for periodic in start.pbc]
        if np.prod(repeats) * len(start) <= MOST_ATOMS_OF_SUPERCELL:
            n = int(np.prod(repeats))
            result["supercell"] = (start.repeat(repeats), lambda f: np.tile(f, (n, 1)))
    for atoms, _ in result.values():
        atoms.set_constraint()
    return result


def turned(start: ase.Atoms, matrix: Matrix) -> ase.Atoms:
    """Return a structure with positions and cell multiplied by an orthogonal matrix."""
    atoms = start.copy()
    atoms.set_cell(start.cell.array @ matrix.T)
    atoms.positions = start.positions @ matrix.T
    return atoms


def random_rotation(rng: np.random.Generator) -> Matrix:
    """Return a uniformly distributed rotation."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def rattled(atoms: ase.Atoms, size: float, rng: np.random.Generator) -> ase.Atoms:
    """Return a structure with random displacements (Å), without constraints."""
    moved = atoms.copy()
    moved.set_constraint()
    moved.positions += rng.normal(0.0, size, moved.positions.shape)
    moved.calc = atoms.calc
    return moved


def single_precision_noise(start: ase.Atoms, exact: Matrix, calculator: Calculator) -> float:
    """Return the largest deviation of the forces of another calculator, eV/Å."""
    atoms = start.copy()
    atoms.calc = calculator
    return float(np.abs(atoms.get_forces() - exact).max())


CHECK = Check(
    "symmetry",
    "Symmetry",
    "An energy that changes when a structure is rotated, moved or reordered is wrong, however"
    " small its error on a test set.",
    run,
)
