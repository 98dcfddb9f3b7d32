"""Liquid water at 300 K: pair distribution functions and self-diffusion, with errors from blocks.

The thermostat rescales all velocities by one factor (G. Bussi, D. Donadio, M. Parrinello, J. Chem.
Phys. 126, 014101 (2007)), which disturbs diffusion far less than the friction of Langevin dynamics.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations_with_replacement
from typing import Any

import ase
import numpy as np
from bench import Bench, extrapolating, rounded
from numpy.typing import NDArray

from reann.assessment.diffusion import mean_square
from reann.assessment.dynamics import constant_temperature
from reann.assessment.rdf import distribution, mean_and_error
from reann.motion.dynamics import degrees_of_freedom, temperature_of
from reann.simulate.md import run_md

TEMPERATURE = 300.0
STEP = 0.5
"""fs."""
EQUILIBRATION, TIME, BLOCKS = 2000.0, 20000.0, 4
"""fs, fs, number."""
SAMPLE = 20
"""Steps between the structures that are kept."""
LOOK = 2000
"""Steps between looks for extrapolation."""
WIDTH = 0.025
"""Å, of the bins."""
LAGS = (1000.0, 2500.0)
"""fs, range of the straight line in the mean square displacement."""
PAIRS = tuple(combinations_with_replacement(("O", "H"), 2))
PEAKS = {"O-O": (2.2, 3.6), "O-H": (1.4, 2.4), "H-H": (1.9, 3.0)}
"""Å, where the first peak between molecules is looked for."""

Positions = NDArray[np.float64]


def check(bench: Bench) -> dict[str, Any]:
    """Return functions, peaks and diffusion."""
    frames = bench.training("water-pbe0")
    start = frames[0]
    found, positions = dynamics(bench, start)
    cell = start.cell.array
    blocks = np.split(positions, BLOCKS)
    r, functions = (np.arange(int(cell[0, 0] / 2 / WIDTH)) + 0.5) * WIDTH, {}
    for pair in PAIRS:
        of_blocks = [distribution(block, start, pair, WIDTH) for block in blocks]
        mean, error = mean_and_error(of_blocks)
        training = distribution(stack(frames, start), start, pair, WIDTH)
        functions["-".join(pair)] = {
            "potential": rounded(mean),
            "error": rounded(error),
            "dft_path_integral": rounded(training),
            **peaks("-".join(pair), r, np.array(of_blocks), training),
        }
    return {
        **found,
        "n_atoms": len(start),
        "n_training_frames": len(frames),
        "r_A": rounded(r),
        "functions": functions,
        "diffusion": diffusion(blocks, start),
    }


def dynamics(bench: Bench, start: ase.Atoms) -> tuple[dict[str, Any], Positions]:
    """Return temperature, extrapolation and speed, and positions (samples, atoms, 3), Å."""
    potential = bench.potential("water-pbe0")
    warm = run_md(
        potential, start, temperature=TEMPERATURE, time=EQUILIBRATION, timestep=STEP, quiet=True
    )
    atoms = warm.atoms
    velocities, masses = atoms.get_velocities(), atoms.get_masses()
    atoms.set_velocities(velocities - masses @ velocities / masses.sum())
    freedom = degrees_of_freedom(atoms, "nve")  # the center of mass stays at rest
    positions, outside, temperatures = [], [], []
    rng = np.random.default_rng(1)
    for step in constant_temperature(atoms, TEMPERATURE, STEP, round(TIME / STEP), rng):
        temperatures.append(temperature_of(atoms, freedom))
        if step and step % SAMPLE == 0:
            positions.append(atoms.get_positions())
        if step % LOOK == 0:
            outside.append(float(extrapolating(potential, atoms).mean()))
    of_blocks = np.array(temperatures)[1:].reshape(BLOCKS, -1).mean(1)
    mean, error = mean_and_error(of_blocks)
    summary = {
        "time_ps": TIME * 1e-3,
        "temperature_K": rounded([mean, error], 2),
        "extrapolating": {"mean": float(np.mean(outside)), "largest": max(outside)},
    }
    return summary, np.array(positions)


def stack(frames: Iterable[ase.Atoms], like: ase.Atoms) -> Positions:
    """Return the positions of structures that have the cell and the order of atoms of one."""
    positions = []
    for frame in frames:
        if (frame.numbers != like.numbers).any() or not np.allclose(frame.cell, like.cell):
            raise ValueError("The structures differ in their cells or atoms.")
        positions.append(frame.positions)
    return np.array(positions)


def peaks(
    pair: str, r: NDArray[np.float64], of_blocks: NDArray[np.float64], training: NDArray[np.float64]
) -> dict[str, Any]:
    """Return position, Å, and height of the first peak between molecules, with errors.

    A parabola through the five bins around the highest one finds both.
    """
    low, high = PEAKS[pair]
    window = (r > low) & (r < high)

    def top(g: NDArray[np.float64]) -> tuple[float, float]:
        highest = int(np.argmax(np.where(window, g, -1.0)))
        near = slice(highest - 2, highest + 3)
        curved, slope, height = np.polyfit(r[near] - r[highest], g[near], 2)
        return float(r[highest] - slope / (2 * curved)), float(height - slope**2 / (4 * curved))

    mean, error = mean_and_error([top(g) for g in of_blocks])
    return {
        "peak": rounded(mean),
        "peak_error": rounded(error),
        "dft_peak": rounded(top(training)),
    }


def diffusion(blocks: list[Positions], like: ase.Atoms) -> dict[str, Any]:
    """Return D of oxygen, Å^2/ps, of each block, their mean and its error."""
    oxygen = like.numbers == 8
    between = SAMPLE * STEP
    lags = np.arange(1, round(LAGS[1] / between) + 1)
    curves = [mean_square(block[:, oxygen], lags) for block in blocks]
    times = lags * between * 1e-3
    straight = times >= LAGS[0] * 1e-3
    each = [float(np.polyfit(times[straight], c[straight], 1)[0] / 6) for c in curves]
    mean, error = mean_and_error(each)
    return {
        "blocks_A2_per_ps": rounded(each),
        "mean_A2_per_ps": rounded([mean, error]),
        "time_ps": rounded(times),
        "mean_square_A2": rounded(np.mean(curves, 0)),
    }
