"""Isolated pairs: atoms must repel at short distances and separate without a jump."""

from __future__ import annotations

from itertools import combinations_with_replacement

import ase
import numpy as np
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols, covalent_radii

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.figures import curves
from reann.assessment.outcome import Figure, Outcome, Verdict, graded, worst
from reann.assessment.wall import HIGH_WALL, Wall, verdict_of_wall, wall_of
from reann.assessment.words import fixed, short
from reann.assessment.work import JUMP, LARGE_JUMP, Along, Values, jumps

CLOSEST = 0.5
"""Times the sum of the covalent radii, where the curve begins."""
STEP = 0.01
"""Å; distances between the points of the curve."""
BEYOND = 0.3
"""Å beyond the cutoff, where the curve ends."""
MOST_PAIRS = 15
HIGHEST = 12.0
"""Highest energy in the figures, eV."""


def run(case: Case) -> Outcome:
    """Compute the energy of each pair of elements against distance."""
    elements = sorted(set(case.atoms.numbers.tolist()))
    pairs = list(combinations_with_replacement(elements, 2))[:MOST_PAIRS]
    rows: list[tuple[str, ...]] = [
        ("pair", "lowest energy, eV", "at, Å", "wall, eV", "attracts below, Å", "jump, eV")
    ]
    verdicts, figures, numbers = [], [], {}
    for number, pair in enumerate(pairs):
        name = "-".join(chemical_symbols[z] for z in pair)
        r, along = distances(pair, case.cutoff), pair_energy(case.exact, pair)
        energy, slope = np.array([along(float(x)) for x in r]).T
        jump = float(jumps(along, r, energy, slope).max())
        energy = energy - energy[-1]
        wall = wall_of(r, energy, contact_of(pair))
        low = verdict_of_wall(wall) is not Verdict.passes
        verdicts += [Verdict.look if low else Verdict.passes, graded(jump, JUMP, LARGE_JUMP)]
        figures.append(_figure(name, r, energy, wall, case.cutoff))
        rows.append(_row(name, wall, jump))
        numbers[name] = {
            "distance_A": np.round(r, 4).tolist(),
            "energy_eV": np.round(energy, 6).tolist(),
            "wall_eV": wall.height,
            "attracts_below_A": wall.turns_at,
            "largest_jump_eV": jump,
        }
        case.advance((number + 1) / len(pairs))
    return Outcome(
        worst(verdicts),
        _sentence(numbers),
        f"Down to {CLOSEST:g} of the sum of the covalent radii, the energy should rise by at least"
        f" {HIGH_WALL:g} eV above its minimum before it falls again. A lower wall is a warning, not"
        " a failure: training data rarely contain isolated pairs of atoms. `model.repulsion` or"
        " `model.zbl` repairs it. Along the whole curve and at the cutoff, the energy may not jump"
        f" by more than {short(JUMP)} eV (fails from {short(LARGE_JUMP)} eV).",
        tuple(figures),
        numbers,
        tuple(rows),
    )


def pair_energy(calculator: Calculator, pair: tuple[int, int]) -> Along:
    """Return the function from the distance of two atoms to energy and derivative."""

    def along(distance: float) -> tuple[float, float]:
        atoms = ase.Atoms(list(pair), [[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
        atoms.calc = calculator
        return atoms.get_potential_energy(), -float(atoms.get_forces()[1, 2])

    return along


def distances(pair: tuple[int, int], cutoff: float) -> Values:
    """Return the distances of a curve, Å: an odd number, from half a bond to beyond the cutoff."""
    contact = contact_of(pair)
    end = (cutoff if np.isfinite(cutoff) else 4 * contact) + BEYOND
    n_points = 2 * round((end - CLOSEST * contact) / STEP / 2) + 1
    return np.linspace(CLOSEST * contact, end, n_points)


def contact_of(pair: tuple[int, int]) -> float:
    """Return the sum of the covalent radii of two elements, Å."""
    return float(covalent_radii[list(pair)].sum())


def _sentence(numbers: dict[str, dict]) -> str:
    holes = [f"{name} below {x['attracts_below_A']:.2f} Å" for name, x in numbers.items()
             if x["attracts_below_A"] is not None]  # fmt: skip
    lowest = min(numbers, key=lambda name: numbers[name]["wall_eV"])
    jump = max(x["largest_jump_eV"] for x in numbers.values())
    subject = "Every pair" if len(numbers) > 1 else "The pair"
    about = (
        f"{subject} of elements repels each other at short distances"
        if not holes
        else f"Pairs that attract each other at short distances: {', '.join(holes)}"
    )
    return (
        f"{about}. The lowest wall is that of {lowest}, {numbers[lowest]['wall_eV']:.1f} eV. The"
        f" energy jumps by at most {short(jump)} eV along the curves."
    )


def _row(name: str, wall: Wall, jump: float) -> tuple[str, ...]:
    turns = "–" if wall.turns_at is None else f"{wall.turns_at:.2f}"
    return (
        *(name, fixed(wall.lowest, 2), f"{wall.lowest_at:.2f}", f"{wall.height:.1f}", turns),
        f"{short(jump)}",
    )


def _figure(name: str, r: Values, energy: Values, wall: Wall, cutoff: float) -> Figure:
    low = min(0.0, float(energy.min()))
    high = min(HIGHEST, max(float(energy.max()), 0.5))
    margin = 0.06 * (high - low)
    turn = "" if wall.turns_at is None else f"; attracts below {wall.turns_at:.2f} Å"
    return curves(
        {name: (r, energy)},
        xlabel="distance, Å",
        ylabel="energy, eV",
        y=(low - margin, high + margin),
        zero=True,
        marks=[cutoff],
        caption=f"{name}, isolated pair{turn}",
    )


CHECK = Check(
    "dimers",
    "Isolated pairs of atoms",
    "If atoms attract each other at short distances, one hard collision ends a simulation.",
    run,
)
