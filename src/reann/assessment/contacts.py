"""Neighbors pushed together: each pair of elements must repel at short distances."""

from __future__ import annotations

from itertools import combinations_with_replacement

import ase
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.dimers import HIGHEST, contact_of
from reann.assessment.figures import curves
from reann.assessment.outcome import Outcome, worst
from reann.assessment.wall import HIGH_WALL, LOW_WALL, verdict_of_wall, wall_of
from reann.data.neighbors import neighbor_list

STEP = 0.01
"""Å."""
CLOSEST = 0.5
"""Times the sum of the covalent radii: how close two atoms are pushed."""
MOST_PAIRS = 10
REACH = 6.0
"""Å within which a pair is searched."""


def run(case: Case) -> Outcome:
    """Push the closest two atoms of each pair of elements together; all others stay fixed."""
    atoms = case.start()
    pairs = closest_pairs(atoms)[:MOST_PAIRS]
    rows = [("pair", "distance in the structure, Å", "wall, eV", "attracts below, Å")]
    verdicts, figures, numbers = [], [], {}
    for number, (i, j, vector) in enumerate(pairs):
        elements = (int(atoms.numbers[i]), int(atoms.numbers[j]))
        name = "-".join(chemical_symbols[z] for z in elements)
        r, energy = pushed(atoms, i, j, vector, CLOSEST * contact_of(elements))
        wall = wall_of(r, energy, contact_of(elements))
        verdicts.append(verdict_of_wall(wall))
        numbers[name] = {
            "atoms": [i, j],
            "distance_A": np.round(r, 4).tolist(),
            "energy_eV": np.round(energy, 6).tolist(),
            "wall_eV": wall.height,
            "attracts_below_A": wall.turns_at,
        }
        turns = "–" if wall.turns_at is None else f"{wall.turns_at:.2f}"
        rows.append((f"{name} ({i}, {j})", f"{r[-1]:.2f}", f"{wall.height:.1f}", turns))
        top = min(HIGHEST, max(float(energy.max()), 0.5))
        low = min(0.0, float(energy.min()))
        figures.append(
            curves(
                {name: (r, energy)},
                xlabel="distance, Å",
                ylabel="energy, eV",
                y=(low - 0.06 * (top - low), top + 0.06 * (top - low)),
                zero=True,
                caption=f"{name} (atoms {i} and {j}) pushed together",
            )
        )
        case.advance((number + 1) / len(pairs))
    return Outcome(
        worst(verdicts),
        _sentence(numbers),
        "Both atoms move by the same amount, the others stay fixed. The energy must"
        f" rise by at least {HIGH_WALL:g} eV before it ever falls (fails below {LOW_WALL:g} eV),"
        f" down to {CLOSEST:g} of the sum of the covalent radii.",
        tuple(figures),
        numbers,
        tuple(rows),
    )


def closest_pairs(atoms: ase.Atoms) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Return the closest two atoms of each pair of elements, and the vector between them in Å."""
    i, j, shift = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, REACH)
    lattice = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    vectors = atoms.positions[j] - atoms.positions[i] + shift @ lattice
    lengths = np.linalg.norm(vectors, axis=1)
    lengths[i == j] = np.inf  # an atom and its own image cannot move independently
    result = []
    for pair in combinations_with_replacement(sorted(set(atoms.numbers.tolist())), 2):
        among = (atoms.numbers[i] == pair[0]) & (atoms.numbers[j] == pair[1]) & np.isfinite(lengths)
        if among.any():
            best = int(np.flatnonzero(among)[np.argmin(lengths[among])])
            result.append((int(i[best]), int(j[best]), vectors[best]))
    return result


def pushed(
    atoms: ase.Atoms, i: int, j: int, vector: NDArray[np.float64], closest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distances (Å) up to that in the structure, and energies (eV) relative to it."""
    length = float(np.linalg.norm(vector))
    n_points = max(3, round((length - closest) / STEP) + 1)
    r, energies = np.linspace(min(closest, 0.9 * length), length, n_points), []
    for distance in r:
        moved = atoms.copy()
        moved.calc = atoms.calc
        half = 0.5 * (length - distance) * vector / length
        moved.positions[i] += half
        moved.positions[j] -= half
        energies.append(moved.get_potential_energy())
    energy = np.array(energies)
    return r, energy - energy[-1]


def _sentence(numbers: dict[str, dict]) -> str:
    lowest = min(numbers, key=lambda name: numbers[name]["wall_eV"])
    holes = [f"{name} below {x['attracts_below_A']:.2f} Å, behind a wall of {x['wall_eV']:.1f} eV"
             for name, x in numbers.items() if x["attracts_below_A"] is not None]  # fmt: skip
    about = f"attract each other: {'; '.join(holes)}" if holes else "repel each other to the end"
    return (
        f"Neighbors that are pushed together {about}. The lowest wall is that of {lowest},"
        f" {numbers[lowest]['wall_eV']:.1f} eV."
    )


CHECK = Check(
    "contacts",
    "Neighbors pushed together",
    "In a simulation, colliding atoms have other neighbors. A hole behind a low wall traps them.",
    run,
    needs=lambda case: len(case.atoms) > 1,
)
