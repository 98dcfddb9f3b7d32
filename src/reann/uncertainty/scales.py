"""Factors between spreads and errors: conformal quantiles and their coverage."""

from __future__ import annotations

import math

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann.calibration import LEVEL, LEVELS, Scale
from reann.evaluation.comparison import Evaluation

FEWEST = 30
"""Fewest atoms of an element with a separate factor."""


def quantile(ratios: NDArray[np.float64], percent: str) -> float:
    """Return the conformal quantile: a new error is smaller with at least this probability.

    Infinite if there are too few errors.
    """
    rank = math.ceil((len(ratios) + 1) * float(percent) / 100.0)
    return float(np.sort(ratios)[rank - 1]) if 0 < rank <= len(ratios) else math.inf


def scale(ratios: NDArray[np.float64], structure: NDArray[np.int64]) -> Scale | None:
    """Return the scale of errors relative to spreads, None if there are too few.

    Parameters
    ----------
    ratios
        Errors over spreads.
    structure
        Index of the structure of each ratio.
    """
    factor = quantile(ratios, LEVEL)
    if not (0.0 < factor < math.inf):
        return None
    bounds = {level: quantile(ratios, level) / factor for level in LEVELS}
    bounds = {level: round(x, 4) for level, x in bounds.items() if math.isfinite(x)}
    return Scale(factor=factor, bounds=bounds, coverage=_coverage(ratios, structure), n=len(ratios))


def _coverage(ratios: NDArray[np.float64], structure: NDArray[np.int64]) -> dict[str, float]:
    """Return the percentage of errors within bounds from the other half of the structures."""
    first = np.unique(structure, return_inverse=True)[1] % 2 == 0
    percentages = {}
    for level in LEVELS:
        bound = np.where(first, quantile(ratios[~first], level), quantile(ratios[first], level))
        if np.isfinite(bound).all():
            percentages[level] = round(100.0 * float(np.mean(ratios <= bound)), 1)
    return percentages


def ratios_of(evaluation: Evaluation, name: str) -> tuple[NDArray, NDArray, NDArray]:
    """Return errors over spreads, the indices of their structures, and their rows.

    Forces and stresses enter with their lengths. Rows with zero error and zero spread are left out.
    """
    n = evaluation.n_structures
    if name not in evaluation.std or name not in evaluation.reference:
        return np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
    difference = evaluation.predicted[name] - evaluation.reference[name]
    error, spread = _lengths(difference), _lengths(evaluation.std[name])
    structure = np.arange(n)
    if name == "forces":
        structure = np.repeat(structure, evaluation.n_atoms)
    rows = np.flatnonzero(np.isfinite(error) & np.isfinite(spread) & ((error > 0) | (spread > 0)))
    with np.errstate(divide="ignore"):
        return error[rows] / spread[rows], structure[rows], rows


def scales_of(evaluation: Evaluation) -> dict[str, Scale]:
    """Return the scales of energy, stress, all forces, and the forces of each element."""
    scales = {}
    for name in ("energy", "stress"):
        scales[name] = scale(*ratios_of(evaluation, name)[:2])
    ratios, structure, rows = ratios_of(evaluation, "forces")
    if len(rows):
        numbers = evaluation.numbers[rows]
        scales["all"] = scale(ratios, structure)
        for z in np.unique(numbers):
            of_element = numbers == z
            if of_element.sum() >= FEWEST:
                scales[chemical_symbols[z]] = scale(ratios[of_element], structure[of_element])
    return {name: x for name, x in scales.items() if x is not None}


def _lengths(values: NDArray) -> NDArray:
    return np.sqrt((values.reshape(len(values), -1) ** 2).sum(1))
