"""Harmonic spectrum of a structure: vibrations, infrared intensities, Raman activities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import ase
import numpy as np
from numpy.typing import NDArray

from reann.backends.choice import Engine
from reann.errors import UserError
from reann.evaluation.stream import evaluated
from reann.motion.constraints import fixed_directions
from reann.motion.settings import check_number
from reann.potential import Ensemble, Potential
from reann.spectra import intensities
from reann.spectra.displacements import Evaluate, Values, derivatives
from reann.spectra.external_motion import external_motions
from reann.spectra.normal_modes import normal_modes

DISPLACEMENT = 0.002
"""Å; errors of wavenumbers are then about 0.1 cm^-1 in double precision."""
ACTIVE = ("dipole", "polarizability")
"""Quantities whose derivatives give intensities."""


@dataclass(frozen=True)
class HarmonicSpectrum:
    """Vibrations ordered by wavenumber; intensities are None if the quantity is not available."""

    wavenumbers: NDArray[np.float64]
    """cm^-1, (modes,); an imaginary wavenumber i w is given as -w."""
    vectors: NDArray[np.float64]
    """dx/dQ in u^-1/2, (modes, atoms, 3); zero for fixed atoms."""
    infrared: NDArray[np.float64] | None
    """Integrated intensities in km/mol, (modes,)."""
    isotropic: NDArray[np.float64] | None
    """a'^2 of the Raman scattering, Å^4/u, (modes,)."""
    anisotropic: NDArray[np.float64] | None
    """gamma'^2 of the Raman scattering, Å^4/u, (modes,)."""
    sum_of_born_charges: NDArray[np.float64] | None
    """sum_i d mu / d r_i in e, (3, 3): zero for a neutral structure. None if atoms are fixed."""
    asymmetry: float
    """Largest |H - H^T| over the largest |H| of the finite differences."""
    largest_force: float
    """Largest force on an atom, eV/Å; zero at a minimum."""

    @property
    def raman(self) -> NDArray[np.float64] | None:
        """Activities 45 a'^2 + 7 gamma'^2, Å^4/u, (modes,)."""
        if self.isotropic is None or self.anisotropic is None:
            return None
        return intensities.raman_activity(self.isotropic, self.anisotropic)

    @property
    def depolarization(self) -> NDArray[np.float64] | None:
        """Depolarization ratios for plane-polarized light, (modes,); see `intensities`."""
        if self.isotropic is None or self.anisotropic is None:
            return None
        return intensities.depolarization(self.isotropic, self.anisotropic)

    @property
    def imaginary(self) -> NDArray[np.bool_]:
        """Mask of modes with imaginary wavenumbers: the structure is not a minimum along them."""
        return self.wavenumbers < 0


def harmonic(
    potential: Potential | Ensemble,
    atoms: ase.Atoms,
    *,
    displacement: float = DISPLACEMENT,
    engine: Engine = "auto",
    progress: Callable[[int], None] = lambda _: None,
) -> HarmonicSpectrum:
    """Return vibrations, infrared intensities and Raman activities of a structure at a minimum.

    The Hessian and the derivatives of dipole and polarizability are central differences over one
    set of displaced structures. Translations and rotations are projected out, unless atoms are
    fixed. For a periodic structure, the vibrations are those at the Gamma point, and intensities
    are per cell.

    Parameters
    ----------
    potential
        In double precision, as single precision causes errors of some 10 cm^-1:
        `reann.Calculator(file, precision="float64").potential`.
    atoms
        A relaxed structure; constraints other than fixed directions are an error.
    displacement
        Å.
    progress
        Called with the number of finished displacements; there are 6 per free atom.

    Raises
    ------
    UserError
        For structures that the potential cannot describe, constraints other than fixed directions,
        and structures without vibrations.
    """
    names = ["forces", *(name for name in ACTIVE if name in potential.labels)]
    evaluate = partial(evaluated, potential, names=names, engine=engine, progress=progress)
    return harmonic_of(evaluate, atoms, displacement)


def harmonic_of(
    evaluate: Evaluate, atoms: ase.Atoms, displacement: float = DISPLACEMENT
) -> HarmonicSpectrum:
    """Return the same for any function of forces, and of dipoles (e Å) or polarizabilities (Å^3).

    Raises
    ------
    UserError
        As `harmonic`.
    """
    check_number("displacement", displacement, "Å", above=0.0, most=0.1)
    free = _free_directions(atoms)
    moving = np.flatnonzero(free)
    force = np.linalg.norm(evaluate([atoms])["forces"][0] * free, axis=-1).max()
    slopes = derivatives(evaluate, atoms, free, displacement)
    hessian = -slopes["forces"].reshape(len(moving), -1)[:, moving]
    masses = np.repeat(atoms.get_masses(), 3)[moving]
    external = external_motions(atoms, free)
    if len(external) == len(moving):
        raise UserError("A single atom does not vibrate.", fix="Use a structure with more atoms.")
    modes = normal_modes(0.5 * (hessian + hessian.T), masses, external)
    vectors = np.zeros((len(modes.vectors), 3 * len(atoms)))
    vectors[:, moving] = modes.vectors
    infrared, isotropic, anisotropic = _activities(slopes, modes.vectors)
    asymmetry = np.abs(hessian - hessian.T).max() / max(np.abs(hessian).max(), 1e-300)
    return HarmonicSpectrum(
        modes.wavenumbers,
        vectors.reshape(-1, len(atoms), 3),
        infrared,
        isotropic,
        anisotropic,
        _sum_of_born_charges(slopes, free),
        float(asymmetry),
        float(force),
    )


def _free_directions(atoms: ase.Atoms) -> NDArray[np.bool_]:
    """Return the directions in which atoms can move, (atoms, 3)."""
    fixed, others = fixed_directions(atoms)
    if others:
        raise UserError(
            f"Vibrations are not supported with the constraint {', '.join(others)}.",
            "constraints of the structure",
            "Remove it, or fix atoms: ase.constraints.FixAtoms.",
        )
    if fixed.all():
        raise UserError("No atom can move.", "constraints of the structure", "Free some atoms.")
    return ~fixed


def _activities(
    slopes: Values, vectors: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | None, ...]:
    """Return infrared intensities, a'^2 and gamma'^2 of the modes, None without their slopes."""
    infrared = isotropic = anisotropic = None
    if "dipole" in slopes:
        infrared = intensities.infrared(vectors @ slopes["dipole"])
    if "polarizability" in slopes:
        of_modes = np.einsum("md,dxy->mxy", vectors, slopes["polarizability"])
        isotropic, anisotropic = intensities.raman_invariants(of_modes)
    return infrared, isotropic, anisotropic


def _sum_of_born_charges(slopes: Values, free: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    if "dipole" not in slopes or not free.all():
        return None
    return slopes["dipole"].reshape(-1, 3, 3).sum(0)
