"""Relaxation: does the structure keep its bonds at the minimum of the potential."""

from __future__ import annotations

import ase
import numpy as np
from ase.data import covalent_radii

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.figures import curves
from reann.assessment.kinds import Kind
from reann.assessment.outcome import Outcome, Verdict
from reann.data.neighbors import neighbor_list
from reann.errors import counted

BOND, TOLERANCE = 1.25, 0.25
"""Length of a bond over the sum of the covalent radii; tolerance for changed bonds, Å."""
MOVED = 1.0
"""Å; an atom that moves farther has left its site."""
SWELLS = 0.05
"""Relative change of the volume of a crystal."""


def run(case: Case) -> Outcome:
    """Relax the structure, and compare bonds, positions and volume before and after."""
    result = case.relaxed
    case.advance(1.0)
    before, after = case.atoms, result.atoms
    changed = changed_bonds(before, after)
    moved = float(displacements(before, after).max())
    gained = float(result.energies[0] - result.energies[-1]) / len(before)
    is_crystal = case.kind is Kind.crystal
    swelling = after.get_volume() / before.get_volume() - 1.0 if is_crystal else 0.0
    verdict = Verdict.passes
    if changed or moved > MOVED or abs(swelling) > SWELLS:
        verdict = Verdict.look
    if not result.converged:
        verdict = Verdict.fails
    state = "converged" if result.converged else "did not converge"
    cell = f"; the volume changes by {100 * swelling:+.2f} %" if is_crystal else ""
    return Outcome(
        verdict,
        f"The relaxation {state} in {result.steps} steps; the largest force is"
        f" {1e3 * result.fmax:.2f} meV/Å. The energy falls by {1e3 * gained:.1f} meV/atom, atoms"
        f" move by at most {moved:.2f} Å and {counted(changed, 'bond') if changed else 'no bond'}"
        f" form{'s' * (changed < 2)} or break{'s' * (changed < 2)}{cell}.",
        "It must converge (largest force below 1 meV/Å). If a bond forms or breaks, an atom"
        f" moves by more than {MOVED:g} Å or the volume changes by more than {100 * SWELLS:g} %,"
        " look at the structure: the potential has its minimum elsewhere, unless the start was"
        " hot or strained.",
        (
            curves(
                {
                    "energy": (
                        np.arange(len(result.energies)),
                        np.maximum(
                            1e3 * (result.energies - result.energies[-1]) / len(before), 1e-6
                        ),
                    )
                },
                xlabel="step of the relaxation",
                ylabel="energy above the minimum, meV/atom",
                ylog=True,
                caption="Energy along the relaxation",
            ),
        ),
        {
            "converged": result.converged,
            "steps": result.steps,
            "fmax_eV_per_A": result.fmax,
            "energy_gained_eV_per_atom": gained,
            "largest_displacement_A": moved,
            "changed_bonds": changed,
            "relative_change_of_volume": float(swelling),
        },
    )


def bond_lengths(atoms: ase.Atoms, times: float, plus: float) -> dict[tuple[int, int], float]:
    """Return the shortest distance in Å of each pair of atoms within the length of a bond."""
    radii = covalent_radii[atoms.numbers]
    reach = 2 * times * float(radii.max()) + plus
    i, j, shift = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, reach)
    lattice = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    length = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shift @ lattice, axis=1)
    result: dict[tuple[int, int], float] = {}
    for a, b, r in zip(i.tolist(), j.tolist(), length.tolist(), strict=True):
        if a <= b and r < times * (radii[a] + radii[b]) + plus:
            result[a, b] = min(r, result.get((a, b), np.inf))
    return result


def changed_bonds(before: ase.Atoms, after: ase.Atoms) -> int:
    """Return the number of bonds that form or break; bonds close to the limit do not count."""
    old, new = (set(bond_lengths(atoms, BOND, 0.0)) for atoms in (before, after))
    loose_old, loose_new = (set(bond_lengths(atoms, BOND, TOLERANCE)) for atoms in (before, after))
    return len(old - loose_new) + len(new - loose_old)


def displacements(before: ase.Atoms, after: ase.Atoms) -> np.ndarray:
    """Return the displacement of each atom in Å, without that of the whole system and the cell."""
    if before.pbc.any():
        if before.pbc.all():
            moved = after.get_scaled_positions(wrap=False) - before.get_scaled_positions(wrap=False)
            moved = (moved - np.round(moved)) @ after.cell.array
        else:
            moved = after.positions - before.positions
        moved = moved - (np.median(moved, axis=0) if not before.constraints else 0.0)
        return np.linalg.norm(moved, axis=1)
    a, b = (x.positions - x.positions.mean(0) for x in (before, after))
    u, _, v = np.linalg.svd(a.T @ b)
    turn = u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v
    return np.linalg.norm(a @ turn - b, axis=1)


CHECK = Check(
    "relaxation",
    "Relaxation",
    "A potential that describes a stable structure has a minimum close to it.",
    run,
    frozenset({Kind.molecule, Kind.crystal, Kind.surface}),
)
