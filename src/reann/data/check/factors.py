"""Ratios of energy changes to the work of forces and stresses, and their interpretation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reann import units
from reann.data.check.finding import Finding, Severity

Array = NDArray[np.float64]

FEWEST_PAIRS, FEWEST_FOR_SIZE = 5, 20
"""Minimum number of pairs for a meaningful factor, and for a meaningful magnitude alone."""
ALIGNED = 0.9
"""Correlation above which a factor is meaningful."""
CERTAIN = 0.97
"""Correlation above which a wrong factor is an error."""
TOLERANCE = 0.2
"""Relative deviation from a known factor."""
FAR, ALIKE = np.log(1.6), np.log(1.2)
"""Maximum logarithmic distance from a known factor, and between equally likely known factors."""
UNDECIDED = (0.4, 1.6)
"""Range of factors that higher-order terms can cause if displacements are not small."""
VERY_ALIGNED, SHARP = 0.99, np.log(1.06)
"""Correlation and logarithmic distance that distinguish even these factors from 1."""
UNRELATED, FEWEST_UNRELATED = 0.3, 30
"""Correlation below which forces do not belong to their energies (0.7 for correct forces), and the
minimum number of pairs for this conclusion."""
TOO_LARGE = 0.1
"""Median energy change over median work, below which no correlation is needed."""
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
"""Factors that make forces agree with the energies, and their interpretation."""
CLOSE_FACTORS = {
    units.force("nN"): "they look like nN beside energies in eV",
    1 / units.force("nN"): "they look like eV/Å that are converted from nN",
    units.LENGTH["Bohr"]: "they look like eV/Å that are converted from eV/Bohr",
    0.5: "they look like Hartree where energies are in Rydberg",
    2.0: "they look like Rydberg where energies are in Hartree",
}
"""The same for factors close to 1, which need a high correlation."""
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
    """Return the factor expected if the energies are energies per atom."""
    total = float(np.sum(work**2))
    if total == 0.0 or n_atoms.min() < 2:
        return {}
    sizes = sorted({int(n) for n in (n_atoms.min(), n_atoms.max())})
    shown = " to ".join(map(str, sizes))
    words = f"the energies look like energies per atom ({shown} atoms)"
    return {float(np.sum(work**2 / n_atoms)) / total: words}


def wrong_kinds(elastic: Array, n_atoms: Array, volume: Array) -> dict[float, str]:
    """Return the factors expected for virials read as stresses, the reverse, and per-atom values.

    Parameters
    ----------
    elastic
        (pairs,) work of the stresses as read, eV.
    n_atoms, volume
        (pairs,), volume in Å^3.
    """
    total = float(np.sum(elastic**2))
    if total == 0.0:
        return {}
    mean = f"(volume {volume.mean():.0f} Å³)"
    key = "set the key as data.keys"
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
    """Check the ratio of energy changes to the work of a label.

    Returns
    -------
    Finding
        None if there are too few pairs of structures or nothing is certain.
    """
    count = len(work)
    if count < FEWEST_PAIRS or np.std(work) == 0.0 or np.std(change) == 0.0:
        return None
    aligned = float(np.sum(change * work) / np.sqrt(np.sum(change**2) * np.sum(work**2)))
    factor = float(np.sum(change * work) / np.sum(work**2))
    # Medians are used because a single wrong structure can be part of many pairs, but not of most.
    size = float(np.median(np.abs(change)) / max(np.median(np.abs(work)), np.finfo(float).tiny))
    if abs(aligned) >= ALIGNED:
        return _proportional(label, factor, abs(aligned), count, factors)
    if size == 0.0:  # most energies are equal: rounded or repeated, reported by other checks
        return None
    if size >= TOO_LARGE or count < FEWEST_FOR_SIZE:
        return _unrelated(aligned, count) if label == "forces" else None
    # The best match on a logarithmic scale: the magnitude is known within a factor of about 2.
    nearest = min((abs(np.log(abs(known) / size)), words) for known, words in factors.items())
    words = f"; {nearest[1]}" if nearest[0] < np.log(3.0) else ""
    return _disagreement(
        label,
        "error",
        f"energy changes predicted by the {label} are {1 / size:.3g} times the actual ones "
        f"({count} pairs of close structures){words}",
    )


def _unrelated(aligned: float, count: int) -> Finding | None:
    if abs(aligned) >= UNRELATED or count < FEWEST_UNRELATED:
        return None
    return _disagreement(
        "forces",
        "warning",
        f"energy changes between {count} pairs of close structures do not agree with the forces "
        f"(correlation {aligned:.2f}): the forces may belong to other structures, or their atoms "
        "or components may be in another order",
    )


def _proportional(
    label: str, factor: float, aligned: float, count: int, factors: Mapping[float, str]
) -> Finding | None:
    if abs(factor - 1.0) < TOLERANCE:
        return Finding(
            f"{label}-agree",
            "note",
            f"sign and size of the {label} agree with the energies "
            f"(factor {factor:.2f} over {count} pairs of close structures)",
            "No action is needed.",
        )
    if label == "forces":
        factors = {**CLOSE_FACTORS, **factors}
    if UNDECIDED[0] < factor < UNDECIDED[1]:
        exact = any(abs(np.log(factor / k)) < SHARP for k in CLOSE_FACTORS)
        if label != "forces" or aligned < VERY_ALIGNED or not exact:
            return None
    distance = {abs(np.log(factor / k)): w for k, w in factors.items() if factor / k > 0}
    nearest = min(distance, default=np.inf)
    # Large displacements make the factor uncertain: name all factors at a similar distance.
    close = [w for far, w in distance.items() if nearest < FAR and far < nearest + ALIKE]
    words = "; or ".join(close) if close else "the sign, the unit or the key is wrong"
    return _disagreement(
        label,
        "error" if aligned > CERTAIN else "warning",
        f"energy changes are {factor:.4g} times those predicted by the {label} ({count} pairs of "
        f"close structures): {words}",
    )


def _disagreement(label: str, severity: Severity, message: str) -> Finding:
    option = label.replace("stresses", "stress")
    return Finding(
        f"{label}-disagree",
        severity,
        message,
        "Set `data: {units: ...}` or choose another key; correct a wrong sign in the file.",
        option=f"--unit {option}=UNIT, --key {option}=KEY",
    )
