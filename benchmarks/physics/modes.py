"""Vibrations of ethanol: harmonic frequencies, and energies far along two DFT normal modes."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
from ase import units
from ase.optimize import BFGS
from bench import Bench, extrapolating, rms, rounded
from dimers import energies
from numpy.typing import NDArray

from reann.interfaces.ase import Calculator
from reann.potential import Ensemble, Potential

SCANS = ("874", "3005")
"""Names of the modes in the data, cm^-1."""
STEP = 0.005
"""Å, of the finite differences of forces."""
FMAX = 1e-4
"""eV/Å, end of the relaxation."""
N_NEAR = 5
"""Frames nearest to the minimum, which a quartic goes through; farther ones are anharmonic."""
SPEED_OF_LIGHT = 2.99792458e10
"""cm/s."""
WAVENUMBER = units.second / (2 * np.pi * SPEED_OF_LIGHT)
"""cm^-1 of the square root of 1 eV/Å^2/u, the inverse of ASE's unit of time."""


def check(bench: Bench) -> dict[str, Any]:
    """Return frequencies and scans."""
    potential = bench.potential("ethanol")
    training = bench.training("ethanol")
    scans = {name: scan_frames(bench, name) for name in SCANS}
    frames = scans[SCANS[0]]
    dft_minimum = min(frames, key=lambda frame: frame.get_potential_energy())
    relaxed = dft_minimum.copy()
    relaxed.calc = Calculator(potential, precision="float64")
    at_dft_minimum = np.linalg.norm(relaxed.get_forces(), axis=1).max()
    BFGS(relaxed, logfile=None).run(fmax=FMAX, steps=1000)
    hessian = force_constants(relaxed)
    frequencies, vectors = normal_modes(hessian, relaxed.get_masses())
    highest = max(frame.get_potential_energy() for frame in training)
    change = relaxed.get_all_distances() - dft_minimum.get_all_distances()
    bonded = np.triu(dft_minimum.get_all_distances() < 1.7, 1)
    return {
        "relaxed": {
            "fmax_eV_per_A": float(np.linalg.norm(relaxed.get_forces(), axis=1).max()),
            "force_at_dft_minimum_eV_per_A": float(at_dft_minimum),
            "rms_change_of_bonds_A": rms(change[bonded]),
            "n_extrapolating": int(extrapolating(potential, relaxed).sum()),
        },
        "asymmetry_of_hessian": rms(hessian - hessian.T) / rms(hessian),
        "frequencies_per_cm": rounded(frequencies, 1),
        "scans": {
            name: scan(potential, frames, highest, frequencies, vectors)
            for name, frames in scans.items()
        },
    }


def scan_frames(bench: Bench, name: str) -> list[ase.Atoms]:
    """Return the structures along a mode, in the order of their displacement."""
    frames = bench.frames(f"ethanol-rmd17/norm_mode_{name}.xyz.gz")
    return sorted(frames, key=lambda frame: frame.info["displacement"])


def force_constants(atoms: ase.Atoms) -> NDArray[np.float64]:
    """Return second derivatives of the energy, eV/Å^2, by central differences of forces."""
    columns = []
    for i in range(3 * len(atoms)):
        forces = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.flat[i] += sign * STEP
            moved.calc = atoms.calc
            forces.append(moved.get_forces().ravel())
        columns.append((forces[1] - forces[0]) / (2 * STEP))
    return np.array(columns)


def normal_modes(
    hessian: NDArray[np.float64], masses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return wavenumbers, cm^-1, imaginary ones negative, and mass-weighted modes as rows."""
    weight = 1 / np.sqrt(np.repeat(masses, 3))
    weighted = weight[:, None] * (hessian + hessian.T) / 2 * weight
    squares, columns = np.linalg.eigh(weighted)
    return WAVENUMBER * np.sign(squares) * np.sqrt(np.abs(squares)), columns.T


def scan(
    potential: Potential | Ensemble,
    frames: list[ase.Atoms],
    highest: float,
    frequencies: NDArray[np.float64],
    vectors: NDArray[np.float64],
) -> dict[str, Any]:
    """Return energies along a mode, both zero at the frame that is the lowest in DFT."""
    steps = np.array([frame.info["displacement"] for frame in frames])
    dft = np.array([frame.get_potential_energy() for frame in frames])
    ours = energies(potential, frames)
    lowest = int(dft.argmin())
    trained = dft <= highest
    dft, ours = dft - dft[lowest], ours - ours[lowest]
    inside = np.array([not extrapolating(potential, frame).any() for frame in frames])
    wrong = 1e3 * (ours - dft)
    along, mass = direction(frames, steps)
    overlap = np.abs(vectors @ along)
    return {
        "displacement": rounded(steps, 2),
        "dft_eV": rounded(dft),
        "potential_eV": rounded(ours),
        "extrapolates": (~inside).tolist(),
        "rmse_meV": {
            "all": rms(wrong),
            "in the range of energies of the training": rms(wrong[trained]),
            "no atom extrapolates": rms(wrong[inside]) if inside.any() else None,
        },
        "n_frames": {
            "all": len(frames),
            "in the range of energies of the training": int(trained.sum()),
            "no atom extrapolates": int(inside.sum()),
        },
        "curvature_per_cm": {
            "dft": curvature(steps, dft, mass),
            "potential": curvature(steps, ours, mass),
        },
        "nearest_mode_per_cm": float(frequencies[overlap.argmax()]),
        "overlap": float(overlap.max()),
    }


def direction(
    frames: list[ase.Atoms], steps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the mass-weighted direction of a straight scan, and its mass per displacement, u."""
    slope = (frames[-1].positions - frames[0].positions) / (steps[-1] - steps[0])
    weighted = (np.sqrt(frames[0].get_masses())[:, None] * slope).ravel()
    mass = float(weighted @ weighted)
    return weighted / np.sqrt(mass), mass


def curvature(steps: NDArray[np.float64], energy: NDArray[np.float64], mass: float) -> float:
    """Return the wavenumber of the second derivative at zero, cm^-1, from a quartic."""
    near = np.argsort(np.abs(steps))[:N_NEAR]
    second = 2 * np.polynomial.polynomial.polyfit(steps[near], energy[near], 4)[2]
    return float(WAVENUMBER * np.sign(second) * np.sqrt(abs(second) / mass))
