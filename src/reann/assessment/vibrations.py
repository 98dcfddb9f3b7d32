"""Harmonic vibrations of a molecule at its minimum."""

from __future__ import annotations

from collections.abc import Iterable

import ase
import numpy as np
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.kinds import Kind
from reann.assessment.outcome import Figure, Outcome, Verdict, graded, worst
from reann.assessment.words import short
from reann.report.svg import Axes
from reann.spectra.displacements import Evaluate
from reann.spectra.vibrations import harmonic_of

IMAGINARY, UNSTABLE = 5.0, 30.0
"""cm^-1; a soft torsion relaxed to 1 meV/Å may have the first; beyond the second, the structure is
not a minimum."""
HIGHEST = 4500.0
"""cm^-1; the stiffest bond, H2, vibrates at 4400."""
ASYMMETRY = 1e-3
"""Relative asymmetry of the Hessian."""


def run(case: Case) -> Outcome:
    """Relax the molecule and diagonalize its Hessian."""
    relaxed = case.relaxed
    atoms = relaxed.atoms
    result = harmonic_of(forces_of(case, 6 * len(atoms)), atoms)
    lowest, highest = float(result.wavenumbers[0]), float(result.wavenumbers[-1])
    verdicts = [graded(-lowest, IMAGINARY, UNSTABLE)]
    if highest > HIGHEST or result.asymmetry > ASYMMETRY or not relaxed.converged:
        verdicts.append(Verdict.look)
    shown = ", ".join(f"{x:.0f}" for x in result.wavenumbers[:40])
    n_imaginary = int((result.wavenumbers < -IMAGINARY).sum())
    modes = f"{n_imaginary} imaginary" if n_imaginary else "none imaginary"
    return Outcome(
        worst(verdicts),
        f"{len(result.wavenumbers)} vibrations ({modes}) from {lowest:.1f} to {highest:.0f} cm⁻¹"
        f" (harmonic, at the minimum of the potential): {shown}.",
        f"No wavenumber below −{IMAGINARY:g} cm⁻¹ (imaginary ones are negative; below"
        f" −{UNSTABLE:g} the relaxed structure is not a minimum), none above {HIGHEST:g} cm⁻¹, and"
        f" a Hessian that is symmetric within {ASYMMETRY:g} (here {short(result.asymmetry)})."
        " Compare with the reference method: a good potential agrees within 10 cm⁻¹.",
        (_figure(result.wavenumbers),),
        {
            "wavenumbers_per_cm": np.round(result.wavenumbers, 2).tolist(),
            "asymmetry": result.asymmetry,
            "largest_force_eV_per_A": result.largest_force,
        },
    )


def forces_of(case: Case, total: int) -> Evaluate:
    """Return the function that computes forces with the calculator in double precision."""

    def evaluate(structures: Iterable[ase.Atoms]) -> dict[str, NDArray[np.float64]]:
        forces = []
        for number, atoms in enumerate(structures):
            forces.append(forces_by(case.exact, atoms))
            case.advance((number + 1) / total)
        return {"forces": np.array(forces)}

    return evaluate


def forces_by(calculator: Calculator, atoms: ase.Atoms) -> NDArray[np.float64]:
    """Return forces without constraints, eV/Å."""
    atoms.calc = calculator
    return atoms.get_forces(apply_constraint=False)


def _figure(wavenumbers: NDArray[np.float64]) -> Figure:
    caption = "Harmonic wavenumbers; imaginary ones are drawn as negative"
    low = min(0.0, 1.1 * float(wavenumbers[0]))
    axes = Axes(
        (low, max(4000.0, 1.05 * float(wavenumbers[-1]))),
        (0.0, 1.1),
        "wavenumber, cm⁻¹",
        "",
        "Vibrations",
        caption,
        width=760,
        height=170,
        ynames=[],
    )
    axes.sticks(wavenumbers, np.ones(len(wavenumbers)))
    return Figure(axes.render(), caption, wide=True)


CHECK = Check(
    "vibrations",
    "Vibrations",
    "Second derivatives show how well the potential describes the shape of the minimum, and whether"
    " it is one.",
    run,
    frozenset({Kind.molecule}),
    needs=lambda case: len(case.atoms) > 1,
)
