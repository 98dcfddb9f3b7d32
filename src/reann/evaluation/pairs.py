"""Reference and prediction of a label side by side, as plots and relative errors need them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reann.evaluation.comparison import Evaluation
from reann.quantities import named


def pairs(evaluation: Evaluation, name: str) -> tuple[NDArray, NDArray]:
    """Return reference and prediction of a label where both are known, one-dimensional.

    Extensive quantities are per atom; energies are given minus least-squares atomic
    energies, so that systems of different composition can be compared.
    """
    if name not in evaluation.reference or name not in evaluation.predicted:
        return np.empty(0), np.empty(0)
    x, y = evaluation.reference[name], evaluation.predicted[name]
    if name == "energy":
        shift = _atomic_energies(evaluation)
        x, y = x - shift, y - shift
    if named(name).per_size:
        n_atoms = evaluation.n_atoms.reshape(-1, *(1 for _ in named(name).shape))
        x, y = x / n_atoms, y / n_atoms
    x, y = independent(name, x), independent(name, y)
    both = np.isfinite(x) & np.isfinite(y)
    return x[both], y[both]


def independent(name: str, values: NDArray) -> NDArray:
    """Return the values that are independent: matrices are symmetric."""
    if named(name).shape != (3, 3):
        return values
    upper = np.triu_indices(3)
    return values[..., upper[0], upper[1]]


def _atomic_energies(evaluation: Evaluation) -> NDArray:
    elements, index = np.unique(evaluation.numbers, return_inverse=True)
    system = np.repeat(np.arange(evaluation.n_structures), evaluation.n_atoms)
    counts = np.zeros((evaluation.n_structures, len(elements)))
    np.add.at(counts, (system, index), 1.0)
    energy = evaluation.reference["energy"]
    known = np.isfinite(energy)
    n = evaluation.n_atoms[known, None]
    fit = np.linalg.lstsq(counts[known] / n, energy[known] / n[:, 0], rcond=1e-9)[0]
    return counts @ fit
