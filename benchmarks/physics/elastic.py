"""Elastic constants of cubic crystals: from small strains, and from strained cells with labels."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
from bench import rms
from numpy.typing import NDArray

from reann.assessment.elastic import slope

LARGEST = 0.025
"""Largest strain component of the cells with labels that are fitted."""


def constants(crystal: ase.Atoms) -> dict[str, float]:
    """Return C11, C12, C44 with relaxed and with clamped ions, GPa, at the given cell."""
    along = slope(crystal, 0, clamped=True)
    return {
        "C11": float(along[0]),
        "C12": float(along[1:3].mean()),
        "C44": float(slope(crystal, 3)[3] / 2),
        "C44 clamped": float(slope(crystal, 3, clamped=True)[3] / 2),
    }


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


def stable(constants: dict[str, Any], shear: str = "C44") -> bool:
    """Whether a cubic crystal resists every small strain (Born)."""
    c11, c12, c44 = constants["C11"], constants["C12"], constants[shear]
    return bool(c11 - c12 > 0 and c11 + 2 * c12 > 0 and c44 > 0)
