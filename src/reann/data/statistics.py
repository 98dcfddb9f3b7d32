"""What a model starts from: reference energies, scales, and the error without a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from reann.data.dataset import Dataset, Subset
from reann.errors import UserError, did_you_mean, listed

SMALLEST_SCALE = 1e-3
"""eV/Å; a scale below it would magnify noise."""
OUTLYING, GAP = 15.0, 2.0
"""Force components are wrong, not typical, beyond so many times the 90th percentile, when a gap of
such a factor lies below them. The tails of random clusters and of colliding atoms have no gap."""
FEW = 0.02
"""Fraction of the components up to which they are outliers."""
CHUNK = 1000
"""Structures whose forces are in memory at once."""


@dataclass(frozen=True)
class ReferenceEnergies:
    """The energy of an isolated atom of each element, eV."""

    values: dict[int, float]
    """By atomic number."""
    source: Literal["fit", "isolated", "given", "none"]
    rank: int
    """How many independent combinations the data determine; below the number of elements, how
    the energy divides among them is arbitrary and dissociation into atoms an extrapolation."""
    n_elements: int


NO_ENERGIES = ReferenceEnergies({}, "none", 0, 0)
"""Of a model without energy."""


def reference_energies(
    train: Subset,
    setting: Literal["auto", "fit", "isolated"] | Mapping[str, float],
    head: int = 0,
) -> ReferenceEnergies:
    """Return the energies of the elements of a data set, from the labels of one head.

    ``fit`` is the least-squares fit of the total energies on the composition with the smallest
    norm; isolated atoms are left out of it. ``isolated`` takes the lowest energy of the isolated
    atoms of each element, searched in the whole data set of the training part. ``auto`` is
    ``isolated`` when every element has one, else ``fit``.

    Raises
    ------
    UserError
        If an element has no isolated atom or no given energy, or a given symbol is no element.
    """
    dataset = train.dataset
    elements = dataset.elements
    if isinstance(setting, Mapping):
        values = _given(setting, elements, _elements_of(train.of_head(head)))
        return ReferenceEnergies(values, "given", len(elements), len(elements))
    train = train.of_head(head)
    isolated = {} if setting == "fit" else _isolated(dataset, head)
    if setting == "isolated":
        _require_all(isolated, elements)
    if set(isolated) == set(elements):
        values = {z: isolated[z] for z in elements}
        return ReferenceEnergies(values, "isolated", len(elements), len(elements))
    indices = train.indices[_has_energy(train)]
    molecules = indices[~_is_isolated(dataset, indices)]
    indices = molecules if len(molecules) else indices
    if len(indices) == 0:
        return ReferenceEnergies(dict.fromkeys(elements, 0.0), "none", 0, len(elements))
    composition = dataset.composition()[indices].astype(np.float64)
    energies = np.asarray(dataset.label("energy"))[indices]
    solution, _, rank, _ = np.linalg.lstsq(composition, energies, rcond=None)
    values = dict(zip(elements, solution.tolist(), strict=True))
    return ReferenceEnergies(values, "fit", int(rank), len(elements))


def reference_sum(dataset: Dataset, *references: ReferenceEnergies) -> NDArray[np.float64]:
    """Return the sum of the reference energies of every structure, (structures,), eV.

    `references` are those of each head, in the order of the heads.
    """
    composition = dataset.composition().astype(np.float64)
    sums = [composition @ np.array([r.values[z] for z in dataset.elements]) for r in references]
    return sums[0] if dataset.head is None else np.choose(dataset.head, sums)


def force_scale(train: Subset) -> float:
    """Return the root mean square of the finite force components, eV/Å.

    Components beyond `OUTLYING` do not count: one wrong force would set the scale of all.

    Without forces: the standard deviation of (E - E0) / sqrt(atoms) with fitted E0. At least
    `SMALLEST_SCALE`; 1 without any of both.
    """
    mean_square = _mean_square_force(train, _largest_usual_force(train))
    if mean_square is not None:
        return float(max(np.sqrt(mean_square), SMALLEST_SCALE))
    fits = [reference_energies(train, "fit", head) for head in range(train.dataset.n_heads)]
    residuals = _energy_residuals(train, *fits)
    if len(residuals) == 0:
        return 1.0
    n_atoms = train.dataset.n_atoms[train.indices[_has_energy(train)]]
    return float(max(np.std(residuals / np.sqrt(n_atoms)), SMALLEST_SCALE))


def baseline_errors(subset: Subset, *references: ReferenceEnergies) -> dict[str, float]:
    """Return the errors of the reference energies alone, with no forces.

    Returns
    -------
    dict
        ``energy_rmse_meV_per_atom`` and ``forces_rmse_meV_per_A``, where there are such labels.
    """
    errors = {}
    residuals = _energy_residuals(subset, *references)
    if len(residuals):
        n_atoms = subset.dataset.n_atoms[subset.indices[_has_energy(subset)]]
        errors["energy_rmse_meV_per_atom"] = 1e3 * float(
            np.sqrt(np.mean((residuals / n_atoms) ** 2))
        )
    mean_square = _mean_square_force(subset)
    if mean_square is not None:
        errors["forces_rmse_meV_per_A"] = 1e3 * float(np.sqrt(mean_square))
    return errors


def mean_neighbors(train: Subset) -> float:
    """Return the mean number of neighbors of an atom within the cutoff."""
    dataset, indices = train.dataset, train.indices
    return float(dataset.n_edges[indices].sum() / dataset.n_atoms[indices].sum())


def _elements_of(part: Subset) -> list[int]:
    """Return the elements that labels of a part can say something about; all of one head's data."""
    if part.dataset.head is None:
        return part.dataset.elements
    counts = part.dataset.composition()[part.indices].sum(axis=0)
    return [z for z, n in zip(part.dataset.elements, counts, strict=True) if n]


def _given(
    setting: Mapping[str, float], elements: list[int], needed: list[int]
) -> dict[int, float]:
    """Return the energies that are given, zero for elements of which no label says anything."""
    for symbol in setting:
        if atomic_numbers.get(symbol, 0) == 0:
            raise UserError(
                f"'{symbol}' is not a chemical element.{did_you_mean(symbol, chemical_symbols)}",
                "data.reference_energies",
                "Write symbols and energies in eV, as {H: -13.6, O: -2041.8}.",
            )
    missing = [chemical_symbols[z] for z in needed if chemical_symbols[z] not in setting]
    if missing:
        raise UserError(
            f"No reference energy is given for {listed(missing)}.",
            "data.reference_energies",
            f"Give an energy in eV for each of {listed(chemical_symbols[z] for z in needed)}.",
        )
    return {z: float(setting.get(chemical_symbols[z], 0.0)) for z in elements}


def _isolated(dataset: Dataset, head: int) -> dict[int, float]:
    values: dict[int, float] = {}
    whole = Subset(dataset, np.arange(len(dataset))).of_head(head)
    indices = whole.indices[_has_energy(whole)]
    for index in indices[_is_isolated(dataset, indices)]:
        element = int(dataset.rows("numbers", [index])[0])
        energy = float(dataset.label("energy")[index])
        values[element] = min(energy, values.get(element, np.inf))
    return values


def _require_all(values: Mapping[int, float], elements: list[int]) -> None:
    missing = [chemical_symbols[z] for z in elements if z not in values]
    if missing:
        raise UserError(
            f"There is no isolated atom with an energy for {listed(missing)}.",
            "data.reference_energies: isolated",
            "Add structures of one atom, give the energies by symbol, or use fit.",
        )


def _is_isolated(dataset: Dataset, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (dataset.n_atoms[indices] == 1) & (dataset.n_edges[indices] == 0)


def _has_energy(subset: Subset) -> NDArray[np.bool_]:
    if not subset.dataset.has("energy"):
        return np.zeros(len(subset.indices), dtype=bool)
    return np.isfinite(subset.dataset.label("energy")[subset.indices])


def _energy_residuals(subset: Subset, *references: ReferenceEnergies) -> NDArray[np.float64]:
    indices = subset.indices[_has_energy(subset)]
    if len(indices) == 0:
        return np.empty(0)
    energies = np.asarray(subset.dataset.label("energy"))[indices]
    return energies - reference_sum(subset.dataset, *references)[indices]


def _mean_square_force(subset: Subset, limit: float = np.inf) -> float | None:
    total, count = 0.0, 0
    for forces in _forces(subset):
        finite = forces[np.isfinite(forces)]
        usual = finite[np.abs(finite) <= limit]
        total += float(np.sum(usual**2))
        count += len(usual)
    return total / count if count else None


def _largest_usual_force(subset: Subset) -> float:
    """Return the size of a component beyond which all are outliers, eV/Å; infinity without any.

    The percentile is that of the components that are not zero, as the median over chunks.
    """
    percentiles, largest, count = [], 0.0, 0
    for forces in _forces(subset):
        sizes = np.abs(forces[np.isfinite(forces) & (forces != 0.0)])
        if len(sizes):
            percentiles.append(float(np.percentile(sizes, 90)))
            largest, count = max(largest, float(sizes.max())), count + len(sizes)
    limit = OUTLYING * float(np.median(percentiles)) if percentiles else np.inf
    if largest <= limit:
        return np.inf
    floor = limit / GAP
    parts = [np.abs(forces[np.abs(forces) > floor]) for forces in _forces(subset)]
    tail = np.sort(np.concatenate([[floor], *parts]))
    gaps = np.flatnonzero((tail[1:] > limit) & (tail[1:] >= GAP * tail[:-1]))
    few = [at for at in gaps if len(tail) - 1 - at <= FEW * count]
    return float(tail[few[0]]) if few else np.inf


def _forces(subset: Subset) -> Iterator[NDArray[np.float64]]:
    if subset.dataset.has("forces"):
        for start in range(0, len(subset.indices), CHUNK):
            yield subset.dataset.rows("forces", subset.indices[start : start + CHUNK])
