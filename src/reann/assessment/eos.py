"""Equation of state of a crystal: energy over volume."""

from __future__ import annotations

import ase
import numpy as np
from ase import units
from ase.calculators.calculator import Calculator
from ase.eos import EquationOfState
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.figures import curves
from reann.assessment.kinds import Kind
from reann.assessment.outcome import Outcome, Verdict

FITTED = np.linspace(0.97, 1.03, 13)
"""Lengths of the cell for the fit, relative to the relaxed cell."""
WIDE = np.linspace(0.90, 1.10, 21)
"""Lengths of the cell over which the energy must rise on both sides of the minimum."""
RESIDUAL = 1.0
"""Largest residual of the fit, meV/atom."""


def run(case: Case) -> Outcome:
    """Scale the relaxed crystal with its ions, and fit the Birch-Murnaghan equation of state."""
    cell = case.relaxed.atoms
    n = len(cell)
    volumes, energies = energies_of(cell, FITTED, case.exact)
    case.advance(0.5)
    fit = birch_murnaghan(volumes, energies)
    curve = EquationOfState(volumes, energies, "birchmurnaghan")
    curve.fit()
    residual = float(1e3 * np.abs(fitted(curve, volumes) - energies).max() / n)
    wide, energies_wide = energies_of(cell, WIDE, case.exact)
    case.advance(1.0)
    rises = monotonic_sides(energies_wide)
    inside = bool(volumes[0] < fit["volume"] < volumes[-1]) and fit["B"] > 0
    verdict = Verdict.passes if residual <= RESIDUAL and rises else Verdict.look
    if not inside:
        verdict = Verdict.fails
    grid = np.linspace(volumes[0], volumes[-1], 101)
    shape = "rises on both sides of it" if rises else "falls again farther away"
    return Outcome(
        verdict,
        f"The energy is lowest at {fit['volume'] / n:.3f} Å³/atom, with a bulk modulus of"
        f" {fit['B']:.1f} GPa (derivative {fit['B′']:.2f}), and {shape}, from −10 to +10 % in"
        f" length. The fit deviates from the energies by at most {residual:.2f} meV/atom.",
        "One minimum between −3 and +3 % of the relaxed length with a positive bulk modulus (else"
        f" it fails), residuals of the fit up to {RESIDUAL:g} meV/atom, and an energy that rises"
        " on both sides up to 10 %. Compare the modulus with experiment or the reference method:"
        " deviations of 5 % between methods are usual.",
        (
            curves(
                {"fit": (grid / n, 1e3 * (fitted(curve, grid) - fit["energy"]) / n)},
                points=(volumes / n, 1e3 * (energies - fit["energy"]) / n),
                xlabel="volume, Å³/atom",
                ylabel="energy, meV/atom",
                caption="Potential (points) and Birch-Murnaghan fit, within 3 % in length",
            ),
            curves(
                {"potential": (wide / n, (energies_wide - fit["energy"]) / n)},
                xlabel="volume, Å³/atom",
                ylabel="energy, eV/atom",
                zero=True,
                caption="Potential, within 10 % in length",
            ),
        ),
        {
            "volume_A3_per_atom": fit["volume"] / n,
            "bulk_modulus_GPa": fit["B"],
            "derivative_of_bulk_modulus": fit["B′"],
            "largest_residual_meV_per_atom": residual,
            "volumes_A3_per_atom": (wide / n).tolist(),
            "energies_eV_per_atom": (energies_wide / n).tolist(),
        },
    )


def energies_of(
    cell: ase.Atoms, lengths: NDArray[np.float64], calculator: Calculator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return volumes (Å^3) and energies (eV) of scaled cells; ions are scaled, too."""
    volumes, energies = [], []
    for factor in lengths:
        atoms = cell.copy()
        atoms.calc = calculator
        atoms.set_cell(cell.cell.array * factor, scale_atoms=True)
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    return np.array(volumes), np.array(energies)


def birch_murnaghan(
    volumes: NDArray[np.float64], energies: NDArray[np.float64]
) -> dict[str, float]:
    """Return volume (Å^3) and energy (eV) of the minimum, and B (GPa) and its pressure derivative.

    F. Birch, Phys. Rev. 71, 809 (1947).
    """
    curve = EquationOfState(volumes, energies, "birchmurnaghan")
    volume, energy, modulus = curve.fit()
    return {
        "volume": float(volume),
        "energy": float(energy),
        "B": float(modulus / units.GPa),
        "B′": float(curve.eos_parameters[2]),
    }


def fitted(curve: EquationOfState, volumes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the energies of a fit."""
    return np.asarray(curve.func(volumes, *curve.eos_parameters))


def monotonic_sides(energies: NDArray[np.float64]) -> bool:
    """Return whether energies rise on both sides of their minimum."""
    lowest = int(np.argmin(energies))
    below, above = energies[: lowest + 1], energies[lowest:]
    return bool((np.diff(below) < 0).all() and (np.diff(above) > 0).all())


CHECK = Check(
    "eos",
    "Equation of state",
    "Volume, bulk modulus and thermal expansion depend on the energy as a function of volume.",
    run,
    frozenset({Kind.crystal}),
)
