"""Elastic constants of cubic crystals: from small strains, and from strained cells with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase import units
from ase.optimize import BFGS
from bench import rms
from numpy.typing import NDArray

STRAIN = 0.005
"""Of the central differences."""
LARGEST = 0.025
"""Largest strain component of the cells with labels that are fitted."""
FMAX = 1e-4
"""eV/Å, end of the relaxations of internal positions."""

Voigt = NDArray[np.float64]
"""xx, yy, zz, yz, xz, xy."""


def strained(crystal: ase.Atoms, component: int, strain: float) -> ase.Atoms:
    """Return the crystal under one component (Voigt) of a small symmetric strain, with calculator.

    `strain` of a shear is the tensor component, half of the engineering strain.
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


def constants(crystal: ase.Atoms) -> dict[str, float]:
    """Return C11, C12, C44 with relaxed and with clamped ions, GPa, at the given cell."""
    along = _difference([stress(strained(crystal, 0, sign * STRAIN)) for sign in (1, -1)])
    clamped, relaxed = [], []
    for sign in (1, -1):
        atoms = strained(crystal, 3, sign * STRAIN)
        clamped.append(stress(atoms))
        BFGS(atoms, logfile=None).run(fmax=FMAX, steps=500)
        relaxed.append(stress(atoms))
    return {
        "C11": float(along[0]),
        "C12": float(along[1:3].mean()),
        "C44": float(_difference(relaxed)[3] / 2),
        "C44 clamped": float(_difference(clamped)[3] / 2),
    }


def _difference(pair: Sequence[Voigt]) -> Voigt:
    return (pair[0] - pair[1]) / (2 * STRAIN)


def reference_frame(frames: list[ase.Atoms]) -> ase.Atoms:
    """Return the unstrained cell among the cells of the most frequent size."""
    sizes = [len(frame) for frame in frames]
    usual = max(set(sizes), key=sizes.count)
    unstrained = [
        frame
        for frame in frames
        if len(frame) == usual
        and np.ptp(frame.cell.lengths()) < 1e-3
        and np.allclose(frame.cell.angles(), 90.0, atol=1e-3)
    ]
    if len(unstrained) != 1:
        raise ValueError(f"{len(unstrained)} frames are cubic, not one.")
    return unstrained[0]


def small_strains(frames: list[ase.Atoms]) -> tuple[list[ase.Atoms], NDArray[np.float64]]:
    """Return the cells that are strained little, the cubic one too, and their strains (Voigt).

    Strains are tensor components of the symmetric part of the deformation.
    """
    start = reference_frame(frames)
    found, strains = [], []
    for frame in frames:
        if len(frame) != len(start):
            continue
        gradient = np.linalg.solve(start.cell.array, frame.cell.array) - np.eye(3)
        strain = ((gradient + gradient.T) / 2)[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
        if np.abs(strain).max() <= LARGEST:
            found.append(frame)
            strains.append(strain)
    return found, np.array(strains)


def fit(strains: NDArray[np.float64], stresses: NDArray[np.float64]) -> dict[str, float]:
    """Return the least-squares C11, C12, C44 of stresses in GPa at strains, both (frames, 6).

    sigma_i = p + C11 e_i + C12 (e_j + e_k) for the normal components, sigma = 2 C44 e for shear;
    p is the stress of the cubic cell.
    """
    still = np.abs(strains).max(1) < 1e-6
    start = float(stresses[still, :3].mean())
    own = strains[:, :3]
    others = own.sum(1, keepdims=True) - own
    normal = np.stack([own.ravel(), others.ravel()], 1)
    (c11, c12), *_ = np.linalg.lstsq(normal, (stresses[:, :3] - start).ravel(), rcond=None)
    shear = 2 * strains[:, 3:].ravel()
    c44 = shear @ stresses[:, 3:].ravel() / (shear @ shear)
    left = [
        stresses[:, :3].ravel() - start - normal @ [c11, c12],
        stresses[:, 3:].ravel() - shear * c44,
    ]
    return {
        "C11": float(c11),
        "C12": float(c12),
        "C44 clamped": float(c44),
        "stress at zero strain": start,
        "residual": rms(np.concatenate(left)),
    }


def stable(found: dict[str, Any], shear: str = "C44") -> bool:
    """Whether a cubic crystal resists every small strain (Born)."""
    c11, c12, c44 = found["C11"], found["C12"], found[shear]
    return bool(c11 - c12 > 0 and c11 + 2 * c12 > 0 and c44 > 0)
