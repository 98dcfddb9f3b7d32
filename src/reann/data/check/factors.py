"""Factors between changes of the energy and the work of forces and stresses, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reann import units
from reann.data.check.finding import Finding, Severity

Array = NDArray[np.float64]

FEWEST_PAIRS, FEWEST_FOR_SIZE = 5, 20
"""From which a factor, and the size alone, mean something."""
ALIGNED = 0.9
"""Least correlation at which a factor means something."""
CERTAIN = 0.97
"""Least correlation at which a wrong factor is an error."""
TOLERANCE = 0.2
"""Relative deviation from a known factor."""
FAR, ALIKE = np.log(1.6), np.log(1.2)
"""Distance of a factor from the nearest known one, and between two known ones that may be meant."""
UNDECIDED = (0.4, 1.6)
"""Factors in which terms of higher order may end, where displacements are not small."""
VERY_ALIGNED, SHARP = 0.99, np.log(1.06)
"""Correlation and nearness at which even these factors are told from one."""
UNRELATED, FEWEST_UNRELATED = 0.3, 30
"""Correlation below which so many forces do not belong to their energies; right ones have 0.7."""
TOO_LARGE = 0.1
"""Changes of the energy over work, medians: no correlation is needed below."""
FORCE_FACTORS = {
    -1.0: "they are gradients, or the energies have the opposite sign",
    units.force("Ha/Bohr"): "they look like Hartree/Bohr beside energies in eV",
    1 / units.LENGTH["Bohr"]: "they look like energies per Bohr beside positions in Å",
    units.force("kcal/mol/Ang"): "they look like kcal/mol/Å beside energies in eV",
    1 / units.energy("kcal/mol"): "the energies look like kcal/mol beside forces in eV/Å",
    1 / units.energy("Ha"): "the energies look like Hartree beside forces in eV/Å",
    units.energy("Ha"): "they look like Hartree/Å beside energies in eV",
    1e-3: "they look like meV/Å beside energies in eV",
    units.force("Ry/Bohr"): "they look like Rydberg/Bohr beside energies in eV",
    units.force("kJ/mol/Ang"): "they look like kJ/mol/Å beside energies in eV",
    units.force("kJ/mol/nm"): "they look like kJ/mol/nm beside energies in eV",
    1 / units.energy("kJ/mol"): "the energies look like kJ/mol beside forces in eV/Å",
    1 / units.energy("Ry"): "the energies look like Rydberg beside forces in eV/Å",
    1 / units.energy("meV"): "the energies look like meV beside forces in eV/Å",
    1 / units.energy("cm^-1"): "the energies look like cm^-1 beside forces in eV/Å",
}
"""What forces must be multiplied by to agree with the energies, and what that means."""
CLOSE_FACTORS = {
    units.force("nN"): "they look like nN beside energies in eV",
    1 / units.force("nN"): "they look like eV/Å that are converted from nN",
    units.LENGTH["Bohr"]: "they look like eV/Å that are converted from eV/Bohr",
    0.5: "they look like Hartree where energies are in Rydberg",
    2.0: "they look like Rydberg where energies are in Hartree",
}
"""The same for factors that only aligned pairs tell from one."""
STRESS_FACTORS = {
    -1.0: "they have the opposite sign",
    units.stress("GPa"): "they look like GPa",
    -units.stress("GPa"): "they look like GPa, positive in compression",
    units.stress("kbar"): "they look like kbar",
    -units.stress("kbar"): "they look like kbar, positive in compression (as VASP writes it)",
    units.stress("bar"): "they look like bar or atm",
    units.stress("MPa"): "they look like MPa",
    units.stress("Pa"): "they look like Pa",
    units.stress("Ha/Bohr^3"): "they look like Hartree/Bohr^3",
    1 / units.stress("GPa"): "they look like eV/Å³ that are converted from GPa",
    1 / units.stress("kbar"): "they look like eV/Å³ that are converted from kbar",
    -1 / units.stress("kbar"): "they look like minus eV/Å³ that are converted from kbar",
    10.0: "they look like GPa that are converted from kbar",
    0.1: "they look like kbar that are converted from GPa",
}


def per_atom(work: Array, n_atoms: Array) -> dict[float, str]:
    """Return the factor that energies per atom would give beside the work of forces."""
    total = float(np.sum(work**2))
    if total == 0.0 or n_atoms.min() < 2:
        return {}
    sizes = sorted({int(n) for n in (n_atoms.min(), n_atoms.max())})
    shown = " to ".join(map(str, sizes))
    words = f"the energies look like energies per atom ({shown} atoms)"
    return {float(np.sum(work**2 / n_atoms)) / total: words}


def wrong_kinds(elastic: Array, n_atoms: Array, volume: Array) -> dict[float, str]:
    """Return the factors of virials read as stresses, the reverse, and values per atom.

    Parameters
    ----------
    elastic
        (pairs,) work of what was read, eV.
    n_atoms, volume
        (pairs,), volume in Å^3.
    """
    total = float(np.sum(elastic**2))
    if total == 0.0:
        return {}
    mean = f"(volume {volume.mean():.0f} Å³)"
    key = "give the key as data.keys"
    factors = [
        (-1 / volume, f"they look like virials in eV: {key}.virial {mean}"),
        (1 / volume, f"they look like virials in eV with the opposite sign {mean}"),
        (-volume, f"they look like stresses under the key of a virial: {key}.stress {mean}"),
    ]
    if n_atoms.min() > 1:
        atoms = f"({n_atoms.mean():.0f} atoms)"
        factors += [
            (n_atoms, f"they look divided by the number of atoms {atoms}"),
            (-n_atoms / volume, f"they look like virials per atom in eV {atoms}"),
        ]
    return {float(np.sum(elastic**2 * size)) / total: words for size, words in factors}


def without(values: Array, other: Array) -> Array:
    """Return the part of values that is not proportional to `other`."""
    square = float(np.sum(other**2))
    return values if square == 0.0 else values - other * (np.sum(values * other) / square)


def verdict(label: str, change: Array, work: Array, factors: Mapping[float, str]) -> Finding | None:
    """Judge the factor between changes of the energy and the work of a label.

    Returns
    -------
    Finding
        None when too few pairs of structures exist or nothing is certain.
    """
    count = len(work)
    if count < FEWEST_PAIRS or np.std(work) == 0.0 or np.std(change) == 0.0:
        return None
    aligned = float(np.sum(change * work) / np.sqrt(np.sum(change**2) * np.sum(work**2)))
    factor = float(np.sum(change * work) / np.sum(work**2))
    # Medians: a single wrong structure takes part in many pairs, but not in most.
    size = float(np.median(np.abs(change)) / max(np.median(np.abs(work)), np.finfo(float).tiny))
    if abs(aligned) >= ALIGNED:
        return _proportional(label, factor, abs(aligned), count, factors)
    if size == 0.0:  # most energies are equal: rounded or repeated, which other checks name
        return None
    if size >= TOO_LARGE or count < FEWEST_FOR_SIZE:
        return _unrelated(aligned, count) if label == "forces" else None
    # The best match on a logarithmic scale: the size is known within a factor of about 2.
    nearest = min((abs(np.log(abs(known) / size)), words) for known, words in factors.items())
    words = f"; {nearest[1]}" if nearest[0] < np.log(3.0) else ""
    return _disagreement(
        label,
        "error",
        f"the {label} say that energies change by {1 / size:.3g} times what they do ({count} pairs "
        f"of close structures){words}",
    )


def _unrelated(aligned: float, count: int) -> Finding | None:
    if abs(aligned) >= UNRELATED or count < FEWEST_UNRELATED:
        return None
    return _disagreement(
        "forces",
        "warning",
        f"energies of {count} pairs of close structures do not change as the forces say "
        f"(correlation {aligned:.2f}): the forces may belong to other structures, or their atoms "
        "or components be in another order",
    )


def _proportional(
    label: str, factor: float, aligned: float, count: int, factors: Mapping[float, str]
) -> Finding | None:
    if abs(factor - 1.0) < TOLERANCE:
        return Finding(
            f"{label}-agree",
            "note",
            f"the {label} have the sign and the size that the energies say "
            f"(factor {factor:.2f} over {count} pairs of close structures)",
            "Nothing to do.",
        )
    if label == "forces":
        factors = {**CLOSE_FACTORS, **factors}
    if UNDECIDED[0] < factor < UNDECIDED[1]:
        exact = any(abs(np.log(factor / k)) < SHARP for k in CLOSE_FACTORS)
        if label != "forces" or aligned < VERY_ALIGNED or not exact:
            return None
    distance = {abs(np.log(factor / k)): w for k, w in factors.items() if factor / k > 0}
    nearest = min(distance, default=np.inf)
    # Displacements that are not small make the factor uncertain: name all that are about as near.
    close = [w for far, w in distance.items() if nearest < FAR and far < nearest + ALIKE]
    words = "; or ".join(close) if close else "the sign, the unit or the key is wrong"
    return _disagreement(
        label,
        "error" if aligned > CERTAIN else "warning",
        f"energies change by {factor:.4g} times what the {label} say ({count} pairs of close "
        f"structures): {words}",
    )


def _disagreement(label: str, severity: Severity, message: str) -> Finding:
    option = label.replace("stresses", "stress")
    return Finding(
        f"{label}-disagree",
        severity,
        message,
        "Set `data: {units: ...}` or choose another key; change a wrong sign in the file.",
        option=f"--unit {option}=UNIT, --key {option}=KEY",
    )
