"""Pair distribution functions of a liquid."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import ase
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.dynamics import ExplosionError
from reann.assessment.figures import curves
from reann.assessment.kinds import Kind
from reann.assessment.liquid import Sample, sampled
from reann.assessment.outcome import Figure, Outcome, Verdict, exploded, graded, worst
from reann.assessment.relaxation import changed_bonds
from reann.data.read import iter_atoms
from reann.data.skipped import ignore

WIDTH = 0.05
"""Å, of the bins."""
EVERY = 5
"""Of the structures of the trajectory."""
MOST_PAIRS = 6
TOO_CLOSE = 0.55
"""Times the sum of the covalent radii: no bond is so short."""
FEW_BONDS = 0.02
"""Changed bonds per atom, beyond which the liquid has reacted."""
DIFFERENT, OTHER = 0.08, 0.25
"""Part of the area under g(r) that differs from that of the data."""
FEWEST_FRAMES = 5
SIZE = 0.05
"""Relative difference of densities at which data are compared."""


def run(case: Case) -> Outcome:
    """Run dynamics at constant temperature, and count pairs over their distance."""
    try:
        sample = sampled(case)
    except ExplosionError as error:
        return exploded(error, f"Dynamics at {case.settings.temperature:g} K")
    reference = frames_like(case)
    figures, numbers = [], {}
    verdicts = [Verdict.passes]
    for pair in pairs_of(sample.like):
        figure, result = _pair(sample, pair, reference)
        figures.append(figure)
        numbers["-".join(pair)] = result
        if result["differs"] is not None:
            verdicts.append(graded(result["differs"], DIFFERENT, OTHER))
    last = sample.like.copy()
    last.positions = sample.positions[-1]
    changed = changed_bonds(case.atoms, last)
    closest, pair = closest_contact(sample)
    verdicts.append(graded(changed / len(last), 0.0, FEW_BONDS))
    verdicts.append(Verdict.passes if closest > TOO_CLOSE else Verdict.fails)
    cut = "" if sample.complete else ", stopped by the time limit"
    compared = f" {_compared(numbers, len(reference))}" if reference else ""
    return Outcome(
        worst(verdicts),
        f"{sample.time:.3g} ps at {sample.temperature:.0f} K{cut}: {changed} bonds have formed or"
        f" broken; the shortest distance is {closest:.2f} of the sum of the covalent radii"
        f" ({pair}).{compared}",
        f"No bond may form or break unless the liquid reacts (fails beyond {100 * FEW_BONDS:g}"
        f" per 100 atoms), and no two atoms come closer than {TOO_CLOSE:g} of the sum of their"
        " covalent radii, a collapse. Against structures of the same composition and density"
        f" (--data) at most {100 * DIFFERENT:g} % of the area under g(r) differ (fails from"
        f" {100 * OTHER:g} % on). Bands are standard errors of four blocks.",
        tuple(figures),
        {
            "time_ps": sample.time,
            "temperature_K": sample.temperature,
            "complete": sample.complete,
            "changed_bonds": changed,
            "closest_contact": closest,
            "pairs": numbers,
        },
    )


def pairs_of(atoms: ase.Atoms) -> list[tuple[str, str]]:
    """Return the pairs of elements of a structure."""
    symbols = sorted(set(atoms.get_chemical_symbols()))
    return list(combinations_with_replacement(symbols, 2))[:MOST_PAIRS]


def distribution(
    positions: NDArray[np.float64], like: ase.Atoms, pair: tuple[str, str], width: float = WIDTH
) -> NDArray[np.float64]:
    """Return g(r) of samples (samples, atoms, 3) in one cell, each pair counted once.

    r goes up to half of the smallest height of the cell, where nearest images are all there is.
    """
    symbols = np.array(like.get_chemical_symbols())
    first, second = (np.flatnonzero(symbols == symbol) for symbol in pair)
    edges = np.arange(int(half_height(like) / width) + 1) * width
    counts = np.zeros(len(edges) - 1)
    same = pair[0] == pair[1]
    lattice = like.cell.array
    inverse = np.linalg.inv(lattice)
    for sample in positions:
        between = sample[first, None] - sample[second]
        between = between - np.round(between @ inverse) @ lattice
        distances = np.sqrt(np.einsum("ijx,ijx->ij", between, between))
        if same:
            distances = distances[np.triu_indices(len(first), 1)]
        counts += np.histogram(distances, edges)[0]
    n_pairs = len(first) * (len(first) - 1) / 2 if same else len(first) * len(second)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    return counts / len(positions) / (max(n_pairs, 1) * shells / like.get_volume())


def half_height(atoms: ase.Atoms) -> float:
    """Return half of the smallest distance of opposite faces of a cell, Å."""
    return float(0.5 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0).max())


def mean_and_error(blocks: Any) -> tuple[Any, Any]:
    """Return mean and standard error of blocks (first axis) that are taken for independent."""
    values = np.asarray(blocks)
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))


def closest_contact(sample: Sample) -> tuple[float, str]:
    """Return the smallest distance of two atoms over the sum of their radii, and their elements."""
    like = sample.like
    radii = covalent_radii[like.numbers]
    lattice, inverse = like.cell.array, np.linalg.inv(like.cell.array)
    i, j = np.triu_indices(len(like), 1)
    smallest, pair = np.inf, (0, 0)
    for positions in sample.positions[:: 4 * EVERY]:
        between = positions[i] - positions[j]
        between = between - np.round(between @ inverse) @ lattice
        relative = np.linalg.norm(between, axis=1) / (radii[i] + radii[j])
        k = int(relative.argmin())
        if relative[k] < smallest:
            smallest, pair = float(relative[k]), (int(like.numbers[i[k]]), int(like.numbers[j[k]]))
    return smallest, "-".join(chemical_symbols[z] for z in pair)


def frames_like(case: Case) -> list[ase.Atoms]:
    """Return the labeled structures with the composition and density of the structure."""
    if not case.settings.data:
        return []
    wanted = case.atoms
    share = np.bincount(wanted.numbers, minlength=120) / len(wanted)
    density = len(wanted) / wanted.get_volume()
    result = []
    for atoms, _ in iter_atoms(list(case.settings.data), report_skipped=ignore):
        if not atoms.pbc.all() or half_height(atoms) < 3.0:
            continue
        own = np.bincount(atoms.numbers, minlength=120) / len(atoms)
        close = abs(len(atoms) / atoms.get_volume() / density - 1.0) < SIZE
        if close and np.allclose(own, share):
            result.append(atoms)
    return result if len(result) >= FEWEST_FRAMES else []


def _pair(
    sample: Sample, pair: tuple[str, str], reference: list[ase.Atoms]
) -> tuple[Figure, dict[str, Any]]:
    of_blocks = [distribution(block[::EVERY], sample.like, pair) for block in sample.blocks()]
    mean, error = mean_and_error(of_blocks)
    r = (np.arange(len(mean), dtype=np.float64) + 0.5) * WIDTH
    series, differs, known = {"potential": (r, mean)}, None, None
    if reference:
        each = [distribution(a.positions[None], a, pair) for a in reference]
        length = min(len(r), *map(len, each))
        known = np.mean([g[:length] for g in each], axis=0)
        differs = float(np.abs(mean[:length] - known).sum() / known.sum())
        series["data"] = (r[:length], known)
    top = _shown_height(mean, r)
    figure = curves(
        series,
        xlabel="distance, Å",
        ylabel="g(r)",
        y=(0.0, top),
        band=(mean - error, mean + error),
        caption=f"Pair distribution of {pair[0]} and {pair[1]}",
    )
    result = {
        "distance_A": np.round(r, 4).tolist(),
        "g": np.round(mean, 4).tolist(),
        "error": np.round(error, 4).tolist(),
        "g_of_data": None if known is None else np.round(known, 4).tolist(),
        "differs": differs,
    }
    return figure, result


def _shown_height(g: NDArray[np.float64], r: NDArray[np.float64]) -> float:
    """Return the height of a frame: peaks within molecules may leave it."""
    outer = float(g[r > 2.0].max(initial=1.0))
    return min(float(g.max(initial=1.0)) * 1.1, 4.0 * outer) + 0.1


def _compared(numbers: dict[str, Any], n_frames: int) -> str:
    parts = ", ".join(f"{name} {100 * x['differs']:.1f} %" for name, x in numbers.items())
    return f"From the g(r) of {n_frames} structures of the data differ: {parts} of the area."


CHECK = Check(
    "rdf",
    "Structure of the liquid",
    "Errors of forces say little about whether a liquid keeps its structure over time.",
    run,
    frozenset({Kind.liquid}),
)
