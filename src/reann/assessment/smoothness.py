"""Smoothness: forces and stress are derivatives of one energy without jumps."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.figures import curves
from reann.assessment.outcome import Outcome, graded, worst
from reann.assessment.symmetry import rattled
from reann.assessment.words import short
from reann.assessment.work import JUMP, LARGE_JUMP, Along, Values, jumps

AMPLITUDE, N_POINTS = 0.1, 121
"""Å, root mean square displacement of the atoms at the ends of the line; odd number of points."""
STEP, STRAIN = 1e-3, 1e-3
"""Å, step of the finite differences for forces; strain of those for the stress."""
N_DIRECTIONS = 6
SLOPE, WRONG_SLOPE = 1e-4, 1e-2
"""Relative deviations of derivatives."""


def run(case: Case) -> Outcome:
    """Move along a random line, and compare finite differences of the energy with the forces."""
    rng = case.rng("smoothness")
    start = rattled(case.start(), 0.02, rng)
    direction = rng.normal(size=start.positions.shape)
    s = np.linspace(-AMPLITUDE, AMPLITUDE, N_POINTS)
    along, values = line_through(start, direction), []
    for number, x in enumerate(s):
        values.append(along(float(x)))
        case.advance(0.8 * (number + 1) / len(s))
    energy, slope = np.array(values).T
    lost = jumps(along, s, energy, slope)
    forces = error_of_forces(start, rng)
    case.advance(0.95)
    stress = error_of_stress(start) if start.pbc.all() else None
    slopes = [forces, *([] if stress is None else [stress])]
    largest = float(lost.max())
    of_stress = "" if stress is None else f"; stress from strained cells within {short(stress)}"
    return Outcome(
        worst([graded(largest, JUMP, LARGE_JUMP), graded(max(slopes), SLOPE, WRONG_SLOPE)]),
        f"Along a random line the energy jumps by at most {short(largest)} eV; finite differences"
        f" of the energy match the forces within {short(forces)} of the largest one{of_stress}.",
        "The change of the energy must equal the work of the forces within"
        f" {short(JUMP)} eV in each of {N_POINTS // 2} intervals (fails from {LARGE_JUMP:g} eV: a"
        " jump, or forces that are not the derivative), and relative deviations of derivatives"
        f" must stay below {short(SLOPE)} (fails from {WRONG_SLOPE:g}).",
        (
            curves(
                {"energy": (s, 1e3 * (energy - energy.min()) / len(start))},
                xlabel="displacement, Å (root mean square)",
                ylabel="energy, meV/atom",
                caption="Energy along a random line through the structure",
            ),
            curves(
                {"deviation": (s[1::2], np.maximum(lost, 1e-14))},
                xlabel="displacement, Å (root mean square)",
                ylabel="|change of energy − work|, eV",
                y=(1e-14, max(10 * largest, 1e-4)),
                ylog=True,
                caption="Energy that the forces do not account for, per interval",
            ),
        ),
        {
            "largest_jump_eV": largest,
            "relative_error_of_forces": forces,
            "relative_error_of_stress": stress,
            "displacement_A": s.tolist(),
            "energy_eV": energy.tolist(),
        },
    )


def line_through(start: ase.Atoms, direction: Values) -> Along:
    """Return energy and derivative at positions + s * direction."""

    def along(s: float) -> tuple[float, float]:
        atoms = start.copy()
        atoms.calc = start.calc
        atoms.positions += s * direction
        return atoms.get_potential_energy(), -float((atoms.get_forces() * direction).sum())

    return along


def error_of_forces(start: ase.Atoms, rng: np.random.Generator) -> float:
    """Return the largest deviation of directional derivatives, relative to the largest force."""
    forces = start.get_forces()
    largest = 0.0
    for _ in range(N_DIRECTIONS):
        direction = rng.normal(size=forces.shape)
        direction /= np.linalg.norm(direction)
        energies = []
        for x in (-2, -1, 1, 2):
            atoms = start.copy()
            atoms.calc = start.calc
            atoms.positions += x * STEP * direction
            energies.append(atoms.get_potential_energy())
        largest = max(largest, abs(fourth_order(energies, STEP) + (forces * direction).sum()))
    return float(largest / max(np.abs(forces).max(), 1e-3))


def error_of_stress(start: ase.Atoms) -> float:
    """Return the largest deviation of the stress from strained cells, relative to its size."""
    stress = start.get_stress(voigt=False) * start.get_volume()
    deviations = []
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for x in (-2, -1, 1, 2):
            strain = np.eye(3)
            strain[i, j] += 0.5 * x * STRAIN
            strain[j, i] += 0.5 * x * STRAIN
            atoms = start.copy()
            atoms.calc = start.calc
            atoms.set_cell(start.cell.array @ strain, scale_atoms=True)
            energies.append(atoms.get_potential_energy())
        deviations.append(abs(fourth_order(energies, STRAIN) - stress[i, j]))
    return float(max(deviations) / max(np.abs(stress).max(), 1e-2 * len(start)))


def fourth_order(energies: Sequence[float], step: float) -> float:
    """Return the derivative from values at -2, -1, 1 and 2 steps."""
    far_low, low, high, far_high = energies
    return (8.0 * (high - low) - (far_high - far_low)) / (12.0 * step)


CHECK = Check(
    "smoothness",
    "Smoothness",
    "Dynamics conserves the energy, and relaxations converge, only if forces and stress are"
    " derivatives of one smooth energy.",
    run,
)
