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
from reann.data.files.read import iter_atoms
from reann.data.files.skipped import ignore

WIDTH = 0.05
"""Width of the bins, Å."""
STRIDE = 5
"""Every fifth structure of the trajectory is used."""
MOST_PAIRS = 6
TOO_CLOSE = 0.55
"""Fraction of the sum of the covalent radii; no bond is so short."""
FEW_BONDS = 0.02
"""Changed bonds per atom; with more, the liquid has reacted."""
DIFFERENT, OTHER = 0.08, 0.25
"""Difference of g(r) from that of the data, as a fraction of the area under g(r)."""
FEWEST_FRAMES = 5
SHORTEST = 1.0
"""ps; hydrogen bonds live about as long, and in less the structure cannot change."""
SIZE = 0.05
"""Largest relative difference of densities for a comparison with data."""


def run(case: Case) -> Outcome:
    """Run dynamics at constant temperature, and compute g(r) of each pair of elements."""
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
    verdicts.append(Verdict.passes if sample.time >= SHORTEST else Verdict.look)
    cut = "" if sample.complete else ", stopped by the time limit"
    compared = f" {_compared(numbers, len(reference))}" if reference else ""
    return Outcome(
        worst(verdicts),
        f"{sample.time:.3g} ps at {sample.temperature:.0f} K{cut}: {changed} bonds formed or"
        f" broke; the shortest distance is {closest:.2f} of the sum of the covalent radii"
        f" ({pair}).{compared}",
        f"At least {SHORTEST:g} ps are needed (else allow more with --limit or --time). No bond may"
        f" form or break unless the liquid reacts (fails beyond {100 * FEW_BONDS:g} per 100"
        f" atoms), and no two atoms may come closer than {TOO_CLOSE:g} of the sum of their"
        " covalent radii (a collapse). From structures of the same composition and density"
        f" (--test), g(r) may differ by {100 * DIFFERENT:g} % of its area (fails from"
        f" {100 * OTHER:g} %). Bands are standard errors of four blocks.",
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
    """Return g(r) of positions (samples, atoms, 3) in one cell; each pair is counted once.

    r is at most half the smallest height of the cell, where only nearest images contribute.
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
    """Return half the smallest distance between opposite faces of a cell, Å."""
    return float(0.5 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0).max())


def mean_and_error(blocks: Any) -> tuple[Any, Any]:
    """Return mean and standard error over blocks (first axis), assumed independent."""
    values = np.asarray(blocks)
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))


def closest_contact(sample: Sample) -> tuple[float, str]:
    """Return the smallest distance over the sum of covalent radii, and the two elements."""
    like = sample.like
    radii = covalent_radii[like.numbers]
    lattice, inverse = like.cell.array, np.linalg.inv(like.cell.array)
    i, j = np.triu_indices(len(like), 1)
    smallest, pair = np.inf, (0, 0)
    for positions in sample.positions[:: 4 * STRIDE]:
        between = positions[i] - positions[j]
        between = between - np.round(between @ inverse) @ lattice
        relative = np.linalg.norm(between, axis=1) / (radii[i] + radii[j])
        k = int(relative.argmin())
        if relative[k] < smallest:
            smallest, pair = float(relative[k]), (int(like.numbers[i[k]]), int(like.numbers[j[k]]))
    return smallest, "-".join(chemical_symbols[z] for z in pair)


def frames_like(case: Case) -> list[ase.Atoms]:
    """Return the labeled structures of the same composition and similar density."""
    if not case.settings.data:
        return []
    structure = case.atoms
    share = np.bincount(structure.numbers, minlength=120) / len(structure)
    density = len(structure) / structure.get_volume()
    result = []
    for atoms, _ in iter_atoms(list(case.settings.data), report_skipped=ignore):
        if not atoms.pbc.all() or half_height(atoms) < 3.0:
            continue
        shares = np.bincount(atoms.numbers, minlength=120) / len(atoms)
        close = abs(len(atoms) / atoms.get_volume() / density - 1.0) < SIZE
        if close and np.allclose(shares, share):
            result.append(atoms)
    return result if len(result) >= FEWEST_FRAMES else []


def _pair(
    sample: Sample, pair: tuple[str, str], reference: list[ase.Atoms]
) -> tuple[Figure, dict[str, Any]]:
    of_blocks = [distribution(block[::STRIDE], sample.like, pair) for block in sample.blocks()]
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
    """Return the upper limit of the y axis; intramolecular peaks may exceed it."""
    outer = float(g[r > 2.0].max(initial=1.0))
    return min(float(g.max(initial=1.0)) * 1.1, 4.0 * outer) + 0.1


def _compared(numbers: dict[str, Any], n_frames: int) -> str:
    parts = ", ".join(f"{name} {100 * x['differs']:.1f} %" for name, x in numbers.items())
    return f"Difference from g(r) of {n_frames} structures of the data, of the area: {parts}."


CHECK = Check(
    "rdf",
    "Structure of the liquid",
    "Small force errors do not guarantee that a liquid keeps its structure over time.",
    run,
    frozenset({Kind.liquid}),
)
