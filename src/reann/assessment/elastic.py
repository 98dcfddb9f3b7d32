"""Elastic constants of a crystal, and its stability against small strains."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
from ase import units
from ase.optimize import BFGS
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.figures import curves
from reann.assessment.kinds import Kind
from reann.assessment.outcome import Figure, Outcome, Verdict
from reann.assessment.words import fixed

STRAIN = 0.005
"""Step of the central differences."""
FMAX = 1e-4
"""eV/Å, convergence of the relaxation of internal positions."""
ASYMMETRY = 0.02
"""Asymmetry of the matrix, relative to its largest entry."""
SOFT = 0.02
"""An eigenvalue below this fraction of the largest one is nearly unstable."""
LINE = np.linspace(-0.02, 0.02, 9)
"""Strains of the figure."""
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")

Voigt = NDArray[np.float64]
"""xx, yy, zz, yz, xz, xy."""


def run(case: Case) -> Outcome:
    """Compute the stress under six strains of the relaxed crystal, with relaxed ions."""
    crystal = case.relaxed.atoms
    matrix = stiffness(crystal, lambda part: case.advance(0.9 * part))
    symmetric = 0.5 * (matrix + matrix.T)
    asymmetry = float(np.abs(matrix - matrix.T).max() / np.abs(matrix).max())
    eigenvalues = np.linalg.eigvalsh(symmetric)
    verdict = Verdict.passes
    if asymmetry > ASYMMETRY or eigenvalues[0] < SOFT * eigenvalues[-1]:
        verdict = Verdict.look
    if not eigenvalues[0] > 0:
        verdict = Verdict.fails
    moduli = averages(symmetric)
    stable = "stable" if eigenvalues[0] > 0 else "not stable"
    return Outcome(
        verdict,
        f"The crystal is {stable} against small strains: eigenvalues of the stiffness from"
        f" {eigenvalues[0]:.1f} to {eigenvalues[-1]:.1f} GPa. Bulk modulus {moduli['B']:.1f} GPa,"
        f" shear modulus {moduli['G']:.1f} GPa (Voigt-Reuss-Hill), C11 {symmetric[0, 0]:.1f}, C12"
        f" {symmetric[0, 1]:.1f}, C44 {symmetric[3, 3]:.1f} GPa along the axes of the cell.",
        "All eigenvalues positive (Born's criterion; else the crystal fails), the smallest at"
        f" least {100 * SOFT:g} % of the largest, and the matrix symmetric within"
        f" {100 * ASYMMETRY:g} %, as second derivatives of an energy are. Potentials usually agree"
        " with the reference method within 10 %.",
        (_figure(crystal),),
        {
            "stiffness_GPa": np.round(symmetric, 3).tolist(),
            "eigenvalues_GPa": np.round(eigenvalues, 3).tolist(),
            "asymmetry": asymmetry,
            "bulk_modulus_GPa": moduli["B"],
            "shear_modulus_GPa": moduli["G"],
        },
        (
            ("C, GPa", *VOIGT),
            *((VOIGT[i], *(fixed(x, 1) for x in symmetric[i])) for i in range(6)),
        ),
    )


def strained(crystal: ase.Atoms, component: int, strain: float) -> ase.Atoms:
    """Return the crystal under one component (Voigt) of a small symmetric strain, with calculator.

    For shear, `strain` is the tensor component, half of the engineering strain.
    """
    i, j = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))[component]
    deformation = np.eye(3)
    deformation[i, j] += strain
    deformation[j, i] = deformation[i, j]
    atoms = crystal.copy()
    atoms.set_cell(crystal.cell.array @ deformation, scale_atoms=True)
    atoms.calc = crystal.calc
    return atoms


def stress(atoms: ase.Atoms) -> Voigt:
    """Return the stress in GPa, positive under tension."""
    return atoms.get_stress() / units.GPa


def stiffness(
    crystal: ase.Atoms, advance: Callable[[float], None] = lambda _: None
) -> NDArray[np.float64]:
    """Return the stiffness with relaxed ions, GPa, Voigt order with engineering strains, (6, 6).

    Columns are strains; the matrix is symmetric if the crystal is free of stress.
    """
    columns = []
    for component in range(6):
        columns.append(slope(crystal, component) / (1 if component < 3 else 2))
        advance((component + 1) / 6)
    return np.array(columns).T


def slope(crystal: ase.Atoms, component: int, *, clamped: bool = False) -> Voigt:
    """Return the derivative of the stress with respect to one component of the strain, GPa."""
    ends = []
    for sign in (1, -1):
        atoms = strained(crystal, component, sign * STRAIN)
        if not clamped:
            BFGS(atoms, logfile=None).run(fmax=FMAX, steps=500)
        ends.append(stress(atoms))
    return (ends[0] - ends[1]) / (2 * STRAIN)


def averages(matrix: NDArray[np.float64]) -> dict[str, float]:
    """Return the Voigt-Reuss-Hill averages of bulk and shear modulus, GPa.

    R. Hill, Proc. Phys. Soc. A 65, 349 (1952).
    """
    c = matrix
    voigt_bulk = c[:3, :3].sum() / 9
    off = c[0, 1] + c[0, 2] + c[1, 2]
    voigt_shear = (c[0, 0] + c[1, 1] + c[2, 2] - off) / 15 + (c[3, 3] + c[4, 4] + c[5, 5]) / 5
    s = np.linalg.inv(c)
    reuss_bulk = 1 / s[:3, :3].sum()
    normal, mixed = np.trace(s[:3, :3]), s[0, 1] + s[0, 2] + s[1, 2]
    reuss_shear = 15 / (4 * normal - 4 * mixed + 3 * np.trace(s[3:, 3:]))
    return {
        "B": float((voigt_bulk + reuss_bulk) / 2),
        "G": float((voigt_shear + reuss_shear) / 2),
    }


def _figure(crystal: ase.Atoms) -> Figure:
    tension = np.array([stress(strained(crystal, 0, e))[0] for e in LINE])
    shear = np.array([stress(strained(crystal, 3, e))[3] for e in LINE])
    return curves(
        {"xx": (100 * LINE, tension), "yz": (100 * LINE, shear)},
        xlabel="strain, %",
        ylabel="stress, GPa",
        zero=True,
        caption="Stress over strain (tensor components), ions clamped",
    )


CHECK = Check(
    "elastic",
    "Elastic constants",
    "A crystal that is unstable against a strain collapses in simulations at constant pressure.",
    run,
    frozenset({Kind.crystal}),
)
