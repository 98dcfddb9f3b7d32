"""Standard deviations of labels not derived from the energy, after removing element constants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.data.dataset import Subset
from reann.errors import UserError
from reann.quantities import Quantity, named


def label_scales(subset: Subset, names: Iterable[str]) -> dict[str, float]:
    """Return the standard deviations of labels minus the constants of their elements.

    Extensive quantities are divided by the root of the number of atoms, as in the loss; for labels
    with an arbitrary sign, it is the root mean square. If all values are equal, it is 1.

    Raises
    ------
    UserError
        If no structure has one of the labels.
    """
    scales = {}
    for quantity in map(named, names):
        values = labels_of(subset, quantity)
        rest = values - _of_constants(subset, quantity, element_constants(subset, quantity))
        if quantity.per_size:
            root = np.sqrt(subset.dataset.n_atoms[subset.indices])
            rest = rest / root.reshape(-1, *(1 for _ in quantity.shape))
        mean = 0.0 if quantity.sign_is_arbitrary else np.nanmean(rest)
        spread = float(np.sqrt(np.nanmean((rest - mean) ** 2)))
        rounding = 1e-9 * float(np.nanmax(np.abs(values)))
        scales[quantity.name] = spread if spread > rounding else 1.0
    return scales


def has_labels(subset: Subset, name: str) -> bool:
    """Return whether a structure has a label."""
    return bool(np.isfinite(_values(subset, name)).any())


def labels_of(subset: Subset, quantity: Quantity) -> NDArray[np.float64]:
    """Return the labels of all structures, NaN if missing; for errors see `label_scales`."""
    name = quantity.name
    values = _values(subset, name)
    if not np.isfinite(values).any():
        raise UserError(
            f"No structure of the training set has the label '{name}'.",
            "model.outputs",
            f"Set its key with data.keys.{name}, or remove it from model.outputs.",
        )
    return values


def _values(subset: Subset, name: str) -> NDArray[np.float64]:
    """Return the values of a label, NaN if missing; empty if no structure of the data has it."""
    dataset = subset.dataset
    return dataset.rows(name, subset.indices) if dataset.has(name) else np.empty(0)


def element_constants(
    subset: Subset, quantity: Quantity, *, induction: bool = False
) -> NDArray[np.float64]:
    """Return the minimum-norm least-squares constants of the elements for the scalar part.

    For matrices this is a third of the trace; for quantities without a scalar part, zeros. With
    `induction`, they are polarizabilities of atoms that polarize each other (`_without_induction`).
    """
    values, elements = labels_of(subset, quantity), subset.dataset.elements
    if quantity.shape not in ((), (3, 3)):
        return np.zeros(len(elements))
    scalars = np.trace(values, axis1=1, axis2=2) / 3.0 if quantity.shape else values
    if induction:
        scalars = _without_induction(scalars, subset)
    known = np.isfinite(scalars)
    shares = _shares(subset, quantity)[known]
    # For atoms of a single element this is the mean.
    squares = shares.T @ shares
    return np.linalg.lstsq(squares, shares.T @ scalars[known], rcond=1e-12)[0]


def _without_induction(
    polarizabilities: NDArray[np.float64], subset: Subset
) -> NDArray[np.float64]:
    """Return the sums of atomic polarizabilities in crystals, by Clausius and Mossotti.

    A polarizability A in the volume V has the sum A / (1 + 4 pi A / 3V). Those of molecules are
    not changed.
    """
    cells = subset.dataset.rows("cell", subset.indices)
    periodic = subset.dataset.rows("pbc", subset.indices).astype(bool).all(1)
    density = np.zeros(len(cells))
    density[periodic] = 1.0 / np.abs(np.linalg.det(cells[periodic]))
    return polarizabilities / (1.0 + 4.0 * np.pi / 3.0 * density * polarizabilities)


def _of_constants(
    subset: Subset, quantity: Quantity, constants: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the contribution of the constants of the elements to each label."""
    sums = _shares(subset, quantity) @ constants
    return (
        np.multiply.outer(sums, np.eye(3))
        if quantity.shape == (3, 3)
        else sums.reshape(-1, *(1 for _ in quantity.shape))
    )


def _shares(subset: Subset, quantity: Quantity) -> NDArray[Any]:
    """Return the factors of the constants: element of each atom, counts, or fractions."""
    if quantity.per_atom:
        numbers = subset.dataset.rows("numbers", subset.indices)
        return (numbers[:, None] == np.array(subset.dataset.elements)).astype(np.float64)
    counts = subset.dataset.composition()[subset.indices].astype(np.float64)
    return counts if quantity.extensive else counts / counts.sum(1, keepdims=True)
