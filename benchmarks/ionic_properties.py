"""What distinguishes charges from a short range in NaCl: long waves, surfaces, dynamics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ase
import ase.units
import numpy as np
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from tosi_fumi import A, cluster, crystal, slab

from reann.units import COULOMB

WAVES = (2, 4, 8, 16)
"""Lengths of the waves of phonons in cubic cells."""
HOT, STEP, SETTLING, SAMPLING, RUNS = 1300.0, 2.0, 500, 2000, 4
"""Of the melt: temperature in K, step in fs, steps before and during the average, runs."""
DRIFTING = 2000
"""Steps at constant energy."""
THZ = 1e3 * ase.units.fs / (2.0 * math.pi)
"""Of an angular frequency in sqrt(eV / amu) / Å."""
Forces = Callable[[list[ase.Atoms]], list[np.ndarray]]
"""Of structures with the same atoms, eV/Å."""
Energy = Callable[[ase.Atoms], float]


def phonons(forces: Forces) -> dict[str, dict[str, float]]:
    """Return the optical frequencies of waves along [100] in THz, by their lengths in cells."""
    return {
        f"{n} cells": {name: _optical(forces, n, axis) for axis, name in ((0, "LO"), (1, "TO"))}
        for n in WAVES
    }


def _optical(forces: Forces, n: int, axis: int) -> float:
    """Return the higher frequency of the two kinds of ions that move in a wave."""
    atoms, moved, step = crystal(n, 1, 1), [], 0.01
    wave = np.cos(2.0 * math.pi / (n * A) * atoms.positions[:, 0])
    waves = [wave * (atoms.numbers == z) for z in (11, 17)]
    for own in waves:
        for sign in (1.0, -1.0):
            moved.append(atoms.copy())
            moved[-1].positions[:, axis] += sign * step * own
    found = np.array(forces(moved))[:, :, axis].reshape(2, 2, -1)
    slopes = (found[:, 0] - found[:, 1]) @ np.transpose(waves) / (2.0 * step)
    masses = np.sqrt(atoms.get_masses()[:2])
    D = -slopes / np.square(waves[0]).sum() / np.outer(masses, masses)
    highest = np.linalg.eigvalsh(0.5 * (D + D.T))[-1]
    return math.copysign(math.sqrt(abs(highest)), highest) * THZ


def splitting() -> float:
    """Return what charges of +1 and -1 add to the square of the longitudinal frequency, THz^2."""
    masses = crystal(1, 1, 1).get_masses()[:2]
    omega2 = 4.0 * math.pi * COULOMB / (A**3 / 4) * (1.0 / masses).sum()  # eV / amu / Å^2
    return float(omega2 * THZ**2)


def charge_structure(runs: list[list[ase.Atoms]]) -> dict[str, dict[str, float]]:
    """Return S_zz of the four longest waves along x over k^2 / k_D^2, which is 1 at small k.

    The standard error is that of independent runs.
    """
    atoms = runs[0][0]
    z = np.where(atoms.numbers == 11, 1.0, -1.0)
    debye2 = 4.0 * math.pi * COULOMB * len(atoms) / atoms.get_volume() / (ase.units.kB * HOT)
    found = {}
    for m in (1, 2, 3, 4):
        k = 2.0 * math.pi * m / atoms.cell[0, 0]
        squares = [
            np.mean([np.abs(np.exp(1j * k * a.positions[:, 0]) @ z) ** 2 for a in frames])
            for frames in runs
        ]
        ratios = np.array(squares) / len(atoms) * debye2 / k**2
        found[f"{k:.3f}"] = {
            "mean": float(ratios.mean()),
            "standard error": float(ratios.std(ddof=1) / math.sqrt(len(runs))),
        }
    return found


def sampled(calculator: Any, start: ase.Atoms, seed: int) -> list[ase.Atoms]:
    """Return frames of the melt every 20 fs."""
    atoms = ase.Atoms(
        start.symbols, start.positions, cell=start.cell, pbc=True, calculator=calculator
    )
    draw = np.random.default_rng(seed)
    MaxwellBoltzmannDistribution(atoms, temperature_K=HOT, rng=draw)
    motion = Langevin(
        atoms, STEP * ase.units.fs, temperature_K=HOT, friction=0.005 / ase.units.fs, rng=draw
    )
    motion.run(SETTLING)
    frames: list[ase.Atoms] = []
    for _ in range(SAMPLING // 10):
        motion.run(10)
        frames.append(atoms.copy())
    return frames


def surfaces(energy: Energy) -> dict[str, float]:
    """Return energies in meV per atom above the crystal, and of an ion that leaves a cluster."""
    whole = crystal(3, 3, 3)
    per_atom = energy(whole) / len(whole)
    block = cluster(4, 4, 4)
    found = {
        name: 1e3 * (energy(atoms) / len(atoms) - per_atom)
        for name, atoms in {
            "slab of 6 planes": slab(6),
            "slab of 12 planes": slab(12),
            "cluster of 64": block,
            "cluster of 216": cluster(6, 6, 6),
        }.items()
    }
    corner = int(np.argmax(block.positions.sum(1)))
    for distance in (5.0, 10.0):
        far = block.copy()
        far.positions[corner] += distance / math.sqrt(3.0)
        found[f"ion {distance:.0f} Å from a cluster, meV"] = 1e3 * (energy(far) - energy(block))
    return found


def drift(calculator: Any) -> dict[str, float]:
    """Return the drift of the total energy at constant energy, and its scatter about the drift."""
    atoms = crystal(2, 2, 2)
    atoms.calc = calculator
    MaxwellBoltzmannDistribution(atoms, temperature_K=1000.0, rng=np.random.default_rng(1))
    motion, energies = VelocityVerlet(atoms, STEP * ase.units.fs), []
    for _ in range(DRIFTING // 10):
        motion.run(10)
        energies.append(1e3 * atoms.get_total_energy() / len(atoms))
    times = 0.01 * STEP * np.arange(1, len(energies) + 1)
    line = np.polyfit(times, energies, 1)
    scatter = float(np.std(np.array(energies) - np.polyval(line, times)))
    return {"drift, meV/atom/ps": float(line[0]), "scatter, meV/atom": scatter}
