"""Two atoms alone, and the O-H bond of ethanol pulled apart, with a potential of ethanol.

The training holds whole molecules near equilibrium, never two atoms alone: what is asked here is
whether the curves stay repulsive and bound where nothing holds them, not whether they are exact.
"""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
from bench import Bench, extrapolating, rounded
from numpy.typing import NDArray

from reann.potential import Ensemble, Potential
from reann.simulate.relax import relax

PULLED = np.round(np.arange(0.6, 6.0001, 0.05), 2)
"""Å, lengths of the O-H bond."""
SQUEEZED = 0.9
"""Below this part of the bond length of DFT a dimer should repel."""


def check(bench: Bench) -> dict[str, Any]:
    """Return curves of the dimers and of the bond."""
    potential = bench.potential("ethanol")
    training = bench.training("ethanol")
    groups: dict[str, list[ase.Atoms]] = {}
    for frame in bench.frames("ethanol-rmd17/dimers.xyz.gz"):
        groups.setdefault("-".join(sorted(frame.get_chemical_symbols())), []).append(frame)
    ranges = pair_distances(training)
    return {
        "pairs": {
            pair: curve(potential, frames, ranges.get(pair)) for pair, frames in groups.items()
        },
        "bond": bond(potential, training),
    }


def pair_distances(training: list[ase.Atoms]) -> dict[str, tuple[float, float]]:
    """Return shortest and longest distance of each pair of elements in the training, Å."""
    symbols = training[0].get_chemical_symbols()
    if any(frame.get_chemical_symbols() != symbols for frame in training):
        raise ValueError("The structures of the training are not all one molecule.")
    every = np.array([frame.get_all_distances() for frame in training])
    ranges: dict[str, tuple[float, float]] = {}
    for i, j in zip(*np.triu_indices(len(symbols), 1), strict=True):
        pair = "-".join(sorted((symbols[i], symbols[j])))
        low, high = ranges.get(pair, (np.inf, 0.0))
        between = every[:, i, j]
        ranges[pair] = min(low, float(between.min())), max(high, float(between.max()))
    return ranges


def curve(
    potential: Potential | Ensemble, frames: list[ase.Atoms], trained: tuple[float, float] | None
) -> dict[str, Any]:
    """Return energies of a dimer against the distance; each curve is zero at the largest one.

    The reference has atoms of different spin in different places, so that its free atoms are no
    common zero.
    """
    frames = sorted(frames, key=lambda frame: frame.get_distance(0, 1))
    r = np.array([frame.get_distance(0, 1) for frame in frames])
    dft = np.array([frame.get_potential_energy() for frame in frames])
    ours = energies(potential, frames)
    outside = np.array([extrapolating(potential, frame).any() for frame in frames])
    dft, ours = dft - dft[-1], ours - ours[-1]
    return {
        "distance_A": rounded(r),
        "dft_eV": rounded(dft),
        "potential_eV": rounded(ours),
        "extrapolates": outside.tolist(),
        "training_A": None if trained is None else rounded(trained, 3),
        "dft_minimum": rounded([r[dft.argmin()], dft.min()]),
        "potential_minimum": rounded([r[ours.argmin()], ours.min()]),
        "turns_over_A": turns_over(r, ours, r[dft.argmin()]),
    }


def turns_over(r: NDArray[np.float64], energy: NDArray[np.float64], bonded: float) -> float | None:
    """Return the largest distance, below most of a bond length, where atoms attract again."""
    closer = [
        float(r[i])
        for i in range(1, len(r))
        if r[i] < SQUEEZED * bonded and energy[i - 1] < energy[i]
    ]
    return max(closer, default=None)


def energies(potential: Potential | Ensemble, frames: list[ase.Atoms]) -> NDArray[np.float64]:
    """Return the energies of structures, eV."""
    return np.array([float(potential.predict(frame, ["energy"])["energy"]) for frame in frames])


def bond(potential: Potential | Ensemble, training: list[ase.Atoms]) -> dict[str, Any]:
    """Return the energy along the O-H bond, everything but the hydrogen at rest."""
    start = relax(potential, training[0], fmax=1e-3, quiet=True)
    atoms = start.atoms
    oxygen = int(np.flatnonzero(atoms.numbers == 8)[0])
    hydrogens = np.flatnonzero(atoms.numbers == 1)
    hydrogen = int(min(hydrogens, key=lambda i: atoms.get_distance(oxygen, i)))
    lengths = [frame.get_distance(oxygen, hydrogen) for frame in training]
    frames = []
    for length in PULLED:
        pulled = atoms.copy()
        pulled.set_distance(oxygen, hydrogen, length, fix=0)
        frames.append(pulled)
    energy = energies(potential, frames) - start.energy
    n_outside = [int(extrapolating(potential, frame).sum()) for frame in frames]
    return {
        "distance_A": rounded(PULLED),
        "potential_eV": rounded(energy),
        "n_extrapolating": n_outside,
        "equilibrium_A": round(atoms.get_distance(oxygen, hydrogen), 4),
        "training_A": rounded([min(lengths), max(lengths)], 3),
        "n_atoms": len(atoms),
    }
