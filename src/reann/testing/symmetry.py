"""Invariance of the energy under rotation, translation and permutation; covariance of forces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.potential import Ensemble, Potential
from reann.quantities import is_per_atom
from reann.testing.predictor import Predict

NAMES = ("energy", "energies", "forces", "virial")
ROUNDING = 1e-9
"""Tolerance of energies (eV) and forces (eV/Å), in units of one plus the largest force."""


def assert_frame_does_not_matter(predict: Predict, atoms: ase.Atoms, seed: int = 0) -> None:
    """Energies are invariant under rotation, reflection and translation; forces are covariant."""
    turn = _rotation(seed) * (-1) ** seed
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T)
    turned.positions = atoms.positions @ turn.T + [0.3, -7.0, 11.0]
    before, after = predict(atoms, NAMES), predict(turned, NAMES)
    bound = ROUNDING * _size(before)
    np.testing.assert_allclose(after["energy"], before["energy"], rtol=1e-6, atol=bound)
    np.testing.assert_allclose(after["energies"], before["energies"], rtol=1e-6, atol=bound)
    np.testing.assert_allclose(after["forces"], before["forces"] @ turn.T, rtol=1e-7, atol=bound)
    np.testing.assert_allclose(
        after["virial"], turn @ before["virial"] @ turn.T, rtol=1e-7, atol=10.0 * bound
    )


def assert_order_does_not_matter(predict: Predict, atoms: ase.Atoms, seed: int = 0) -> None:
    """Atomic energies and forces do not depend on the order of the atoms."""
    order = np.random.default_rng(seed).permutation(len(atoms))
    before, after = predict(atoms, NAMES), predict(atoms[order], NAMES)
    bound = ROUNDING * _size(before)
    for name in ("energies", "forces"):
        np.testing.assert_allclose(after[name], before[name][order], rtol=1e-7, atol=bound)


def assert_sums(predict: Predict, atoms: ase.Atoms) -> None:
    """Atomic energies sum to the total energy, forces sum to zero."""
    values = predict(atoms, NAMES)
    bound = 1e-12 * (1.0 + np.abs(values["energies"]).sum())
    np.testing.assert_allclose(values["energies"].sum(), values["energy"], rtol=0, atol=bound)
    np.testing.assert_allclose(values["forces"].sum(0), 0.0, atol=1e-10 * _size(values))


def assert_batch_changes_nothing(
    potential: Potential | Ensemble, structures: Sequence[ase.Atoms], engine: str = "auto"
) -> None:
    """Energies and forces are the same in a batch and separately."""
    names = ("energy", "forces")
    graphs = [graph_from_atoms(atoms, potential.cutoff) for atoms in structures]
    batch = Graph.batch(graphs)
    together = {name: x.numpy() for name, x in potential.evaluate(batch, names, engine).items()}
    system = batch.system.numpy()
    for i, atoms in enumerate(structures):
        alone = predict_alone(potential, atoms, names, engine)
        of_structure = {k: x[system == i] if is_per_atom(k) else x[i] for k, x in together.items()}
        _compare(of_structure, alone, ROUNDING)


def assert_agree(
    predict: Predict, other: Predict, atoms: ase.Atoms, bound: float = ROUNDING
) -> None:
    """Two predictors, such as two backends, agree for a structure.

    `bound` is in units of one plus the largest force: 1e-9 for double, 1e-4 for single precision.
    """
    _compare(predict(atoms, NAMES), other(atoms, NAMES), bound)


def predict_alone(
    potential: Potential | Ensemble, atoms: ase.Atoms, names: Sequence[str], engine: str
) -> dict[str, Any]:
    """Predict one structure."""
    values = potential.predict(atoms, names, engine)
    assert isinstance(values, dict)
    return values


def _compare(values: dict[str, Any], expected: dict[str, Any], bound: float) -> None:
    for name, value in expected.items():
        np.testing.assert_allclose(
            values[name], value, rtol=1e-6, atol=bound * _size(expected), err_msg=name
        )


def _size(values: dict[str, Any]) -> float:
    return 1.0 + float(np.abs(values["forces"]).max(initial=0.0))


def _rotation(seed: int) -> NDArray[np.float64]:
    """Return a random rotation; a QR decomposition with positive diagonal is uniform."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)
