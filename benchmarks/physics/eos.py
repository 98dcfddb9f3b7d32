"""Equation of state and elastic constants of silicon and molybdenum.

DFT values come from the strained cells (group *Elastic*) of the training files: their stress gives
C11, C12 and C44, the cell without stress the lattice constant. No isotropic strains are there, so
that the bulk modulus of DFT is (C11 + 2 C12) / 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.build import bulk
from bench import Bench, rms, rounded
from elastic import constants, fit, reference_frame, small_strains, stable
from numpy.typing import NDArray

from reann.assessment.elastic import stress
from reann.assessment.eos import birch_murnaghan
from reann.interfaces.ase import Calculator

SCALES = np.linspace(0.97, 1.03, 13)
"""Lattice constants of the equation of state, relative to that of DFT."""


@dataclass(frozen=True)
class Crystal:
    """A cubic crystal."""

    symbol: str
    lattice: str
    n_atoms: int
    """Of the conventional cell."""


CRYSTALS = {"si": Crystal("Si", "diamond", 8), "mo": Crystal("Mo", "bcc", 2)}


def check(bench: Bench) -> dict[str, Any]:
    """Return the constants of both crystals."""
    return {name: crystal(bench, name) for name in CRYSTALS}


def crystal(bench: Bench, name: str) -> dict[str, Any]:
    """Return what DFT, and what the potential has for one crystal."""
    about = CRYSTALS[name]
    calculator = Calculator(bench.potential(name), precision="float64")
    labeled = [f for f in bench.training(name) if f.info.get("group") == "Elastic"]
    frames, strains = small_strains(labeled)
    dft_stress = np.array([stress(frame) for frame in frames])
    dft = fit(strains, dft_stress)
    dft["B"] = _bulk(dft)
    dft["a"] = lattice_constant(labeled, dft["B"], about)

    own_stress = np.array([stress(_with(frame, calculator)) for frame in frames])
    same = fit(strains, own_stress)
    same["B"] = _bulk(same)

    volumes, energies, own = equation_of_state(about, dft["a"], calculator)
    cell = bulk(about.symbol, about.lattice, a=own["a"], cubic=True)
    own |= constants(_with(cell, calculator))
    own["(C11 + 2 C12) / 3"] = _bulk(own)
    forces = [float(np.linalg.norm(frame.get_forces(), axis=1).max()) for frame in frames]
    return {
        "dft": _rounded(dft),
        "potential, same frames": _rounded(same),
        "potential": _rounded(own),
        "stable": {"dft": stable(dft, "C44 clamped"), "potential": stable(own)},
        "n_frames": len(frames),
        "n_labeled": len(labeled),
        "largest_forces_eV_per_A": rounded([min(forces), max(forces)], 3),
        "stress_rmse_GPa": rms(own_stress - dft_stress),
        "strains": rounded(strains, 5),
        "dft_stress_GPa": rounded(dft_stress, 3),
        "potential_stress_GPa": rounded(own_stress, 3),
        "volumes_A3_per_atom": rounded(volumes),
        "energies_meV_per_atom": rounded(energies, 3),
    }


def equation_of_state(
    about: Crystal, near: float, calculator: Calculator
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, float]]:
    """Return volumes, Å^3/atom, energies above the minimum, meV/atom, and the fitted constants.

    Birch-Murnaghan: F. Birch, Phys. Rev. 71, 809 (1947); a in Å, B in GPa, and B'.
    """
    cells = [bulk(about.symbol, about.lattice, a=s * near, cubic=True) for s in SCALES]
    energies = [_with(cell, calculator).get_potential_energy() for cell in cells]
    volumes = np.array([cell.get_volume() for cell in cells])
    fit = birch_murnaghan(volumes, np.array(energies))
    constants = {"a": fit["volume"] ** (1 / 3), "B": fit["B"], "B'": fit["B′"]}
    per_atom = 1e3 * (np.array(energies) - fit["energy"]) / about.n_atoms
    return volumes / about.n_atoms, per_atom, constants


def lattice_constant(labeled: list[ase.Atoms], modulus: float, about: Crystal) -> float:
    """Return a without stress, Å, from the cubic cell whose ions are nearest to perfect sites."""
    cubic = [reference_frame(labeled)]
    cubic += [f for f in labeled if len(f) == about.n_atoms]
    best = min(cubic, key=lambda frame: np.abs(frame.get_forces()).max())
    a = float((best.get_volume() * about.n_atoms / len(best)) ** (1 / 3))
    return a * (1 - float(stress(best)[:3].mean()) / (3 * modulus))


def _bulk(constants: dict[str, float]) -> float:
    return (constants["C11"] + 2 * constants["C12"]) / 3


def _with(atoms: ase.Atoms, calculator: Calculator) -> ase.Atoms:
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms


def _rounded(constants: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in constants.items()}
