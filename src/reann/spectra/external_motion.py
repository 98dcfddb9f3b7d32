"""Translations and rotations, which are not vibrations."""

from __future__ import annotations

import ase
import numpy as np
from numpy.typing import NDArray

LINEAR = 1e-4
"""Rotations with a singular value below this fraction of the largest are about a linear axis."""


def external_motions(atoms: ase.Atoms, free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return an orthonormal basis of mass-weighted motions that preserve all distances.

    These are three translations and the rotations that the periodicity allows: three for a molecule
    (two if it is linear), one about the axis of a chain, none for a slab or a crystal. If an atom
    is fixed in any direction, there are no external motions.

    Parameters
    ----------
    free
        Directions in which atoms can move, (atoms, 3).

    Returns
    -------
    array
        (motions, free directions), rows are orthonormal.
    """
    if not free.all():
        return np.empty((0, int(free.sum())))
    weight = np.sqrt(atoms.get_masses())[:, None]
    away = atoms.positions - atoms.get_center_of_mass()
    axes = _axes_of_rotation(atoms)
    motions = [weight * axis for axis in np.eye(3)]
    motions += [weight * np.cross(axis, away) for axis in axes]
    rows = np.stack([np.broadcast_to(motion, away.shape).ravel() for motion in motions])
    translations = rows[:3] / np.linalg.norm(rows[:3], axis=1, keepdims=True)
    if not len(axes):
        return translations
    # Rotations keep the center of mass at rest, so they are orthogonal to translations.
    _, sizes, rotations = np.linalg.svd(rows[3:], full_matrices=False)
    extent = np.sqrt((weight**2).sum())  # of an atom at 1 Å, so that a single atom has none
    return np.concatenate([translations, rotations[sizes > LINEAR * max(sizes[0], extent)]])


def _axes_of_rotation(atoms: ase.Atoms) -> NDArray[np.float64]:
    """Return the axes of rotations that the periodicity allows, (axes, 3)."""
    periodic = atoms.cell.array[atoms.pbc]
    if len(periodic) == 0:
        return np.eye(3)
    if len(periodic) == 1:
        return periodic / np.linalg.norm(periodic)
    return np.empty((0, 3))
