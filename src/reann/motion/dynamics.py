"""ASE integrators for the ensembles, velocities and temperature."""

from __future__ import annotations

import ase
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet

from reann.errors import UserError, counted, did_you_mean
from reann.motion.settings import Dynamics

ENSEMBLES = ("langevin", "nve", "npt")
BAROSTAT_TIME = 1000.0
"""Time scale of volume fluctuations, fs."""


def check_ensemble(name: str, pressure: float | None, friction: float | None) -> None:
    """Raise `UserError` for an unknown ensemble, and for settings that it does not use."""
    if name not in ENSEMBLES:
        raise UserError(
            f"'{name}' is not an ensemble.{did_you_mean(name, ENSEMBLES)}",
            fix=f"Use one of {', '.join(ENSEMBLES)}.",
        )
    if pressure is not None and name != "npt":
        raise UserError(
            f"The pressure has no effect on {name}.", "--pressure", "Leave it out, or use npt."
        )
    if friction is not None and name == "nve":
        raise UserError(
            "The friction has no effect on nve.", "--friction", "Leave it out, or use langevin."
        )


def make_dynamics(
    atoms: ase.Atoms, settings: Dynamics, rng: np.random.Generator
) -> MolecularDynamics:
    """Return ASE's integrator."""
    step = settings.timestep * units.fs
    if settings.ensemble == "nve":
        return VelocityVerlet(atoms, step)
    temperature, friction = settings.temperature, settings.friction
    if settings.ensemble == "langevin":
        # Removing the motion of the center of mass would not sample NVT exactly.
        return Langevin(
            atoms,
            step,
            temperature_K=temperature,
            friction=friction / units.fs,
            fixcm=False,
            rng=rng,
        )
    if not atoms.pbc.all():
        raise UserError(
            "Constant pressure needs a cell that is periodic in three dimensions.",
            f"pbc is {atoms.pbc.tolist()}",
            "Use langevin, or set pbc and the cell.",
        )
    if atoms.constraints:
        raise UserError(
            "Constraints are not supported at constant pressure: scaling the cell moves all atoms.",
            counted(len(atoms.constraints), "constraint"),
            "Use langevin, or remove the constraints.",
        )
    if temperature == 0 or friction == 0:
        raise UserError("npt needs a temperature and a friction.", fix="Set both, or use nve.")
    from ase.md.langevinbaoab import LangevinBAOAB  # not in older versions of ASE

    # ASE's default mass; passing it avoids a warning.
    mass = (BAROSTAT_TIME / 4 / 1.66) ** 2 * len(atoms) ** (1 / 3)
    return LangevinBAOAB(
        atoms,
        step,
        temperature_K=temperature,
        externalstress=-settings.pressure * units.bar,
        hydrostatic=True,
        T_tau=units.fs / friction,
        P_tau=BAROSTAT_TIME * units.fs,
        P_mass=mass,
        rng=rng,
    )


def degrees_of_freedom(atoms: ase.Atoms, ensemble: str) -> int:
    """Return the degrees of freedom, without constrained ones and a center of mass at rest."""
    freedom = int(atoms.get_number_of_degrees_of_freedom())
    if ensemble == "nve" and _center_is_conserved(atoms) and _center_rests(atoms):
        freedom -= 3
    if freedom <= 0:
        raise UserError("No atom can move.", "constraints of the start", "Free some atoms.")
    return freedom


def draw_velocities(
    atoms: ase.Atoms, temperature: float, rng: np.random.Generator, *, at_rest: bool = False
) -> None:
    """Draw momenta from the Maxwell-Boltzmann distribution, under the constraints.

    `at_rest` removes the momentum of the center of mass if it is conserved.
    """
    masses = atoms.get_masses()[:, None]
    momenta = rng.standard_normal((len(atoms), 3)) * np.sqrt(masses * units.kB * temperature)
    if at_rest and _center_is_conserved(atoms):
        momenta -= masses * momenta.sum(axis=0) / masses.sum()
    atoms.set_momenta(momenta)


def has_velocities(atoms: ase.Atoms) -> bool:
    """Return whether any atom of a structure moves."""
    return atoms.has("momenta") and bool(atoms.get_momenta().any())


def temperature_of(atoms: ase.Atoms, freedom: int) -> float:
    """Return the temperature in K of atoms with `freedom` degrees of freedom."""
    return 2.0 * float(atoms.get_kinetic_energy()) / (freedom * units.kB)


def _center_is_conserved(atoms: ase.Atoms) -> bool:
    return len(atoms) > 1 and not atoms.constraints


def _center_rests(atoms: ase.Atoms) -> bool:
    momenta = atoms.get_momenta()
    return bool(np.abs(momenta.sum(axis=0)).max() <= 1e-8 * np.abs(momenta).sum())
