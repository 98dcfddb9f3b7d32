"""Statistics of the training set: reference energies, scales, and baseline errors."""

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
"""eV/Å; a smaller scale would amplify noise."""
OUTLYING, GAP = 15.0, 2.0
"""Force components are outliers above this many times the 90th percentile if a gap of this factor
separates them from the others. The tails of random clusters and colliding atoms have no gap."""
FEW = 0.02
"""Maximum fraction of components that can be outliers."""
CHUNK = 1000
"""Structures whose forces are in memory at once."""


@dataclass(frozen=True)
class ReferenceEnergies:
    """Reference energy of each element, eV."""

    values: dict[int, float]
    """Reference energy by atomic number, eV."""
    source: Literal["fit", "isolated", "given", "none"]
    rank: int
    """Number of independent combinations that the data determine. If it is below the number of
    elements, the partition among the elements is arbitrary, and dissociation into atoms is an
    extrapolation."""
    n_elements: int


NO_ENERGIES = ReferenceEnergies({}, "none", 0, 0)
"""Reference energies of a model without energy."""


def reference_energies(
    train: Subset,
    setting: Literal["auto", "fit", "isolated"] | Mapping[str, float],
    head: int = 0,
) -> ReferenceEnergies:
    """Return the reference energies of a data set for the labels of one head.

    ``fit`` is the minimum-norm least-squares fit of the total energies to the compositions,
    without isolated atoms. ``isolated`` uses the lowest energy of the isolated atoms of each
    element in the whole data set, among those with the smallest charge if charges are inputs of
    the model: an anion may be lower than the atom. ``auto`` is ``isolated`` if there is an isolated
    atom of each element, else ``fit``.

    Raises
    ------
    UserError
        If an element has no isolated atom or no energy in the setting, or a symbol is unknown.
    """
    dataset = train.dataset
    elements = dataset.elements
    if isinstance(setting, Mapping):
        values = _from_setting(setting, elements, _elements_of(train.of_head(head)))
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
    """Return the sum of the reference energies of each structure, (structures,), eV.

    `references` are the reference energies of each head, in the order of the heads.
    """
    composition = dataset.composition().astype(np.float64)
    sums = [composition @ np.array([r.values[z] for z in dataset.elements]) for r in references]
    return sums[0] if dataset.head is None else np.choose(dataset.head, sums)


def force_scale(train: Subset) -> float:
    """Return the root mean square of the finite force components, eV/Å.

    Outliers are ignored, as a single wrong force could otherwise determine the scale.

    Without forces: the standard deviation of (E - E0) / sqrt(atoms) with fitted E0. At least
    `SMALLEST_SCALE`; 1 without energies and forces.
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
        ``energy_rmse_meV_per_atom`` and ``forces_rmse_meV_per_A``, if there are such labels.
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
    """Return the elements of a part; with a single head, those of the whole data set."""
    if part.dataset.head is None:
        return part.dataset.elements
    counts = part.dataset.composition()[part.indices].sum(axis=0)
    return [z for z, n in zip(part.dataset.elements, counts, strict=True) if n]


def _from_setting(
    setting: Mapping[str, float], elements: list[int], needed: list[int]
) -> dict[int, float]:
    """Return the energies in the setting; zero for elements without labels."""
    for symbol in setting:
        if atomic_numbers.get(symbol, 0) == 0:
            raise UserError(
                f"'{symbol}' is not a chemical element.{did_you_mean(symbol, chemical_symbols)}",
                "data.reference_energies",
                "Write symbols and energies in eV, for example {H: -13.6, O: -2041.8}.",
            )
    missing = [chemical_symbols[z] for z in needed if chemical_symbols[z] not in setting]
    if missing:
        raise UserError(
            f"There is no reference energy for {listed(missing)}.",
            "data.reference_energies",
            f"Set an energy in eV for each of {listed(chemical_symbols[z] for z in needed)}.",
        )
    return {z: float(setting.get(chemical_symbols[z], 0.0)) for z in elements}


def _isolated(dataset: Dataset, head: int) -> dict[int, float]:
    """Return the lowest energy of the isolated atoms of each element, of neutral ones if any."""
    lowest: dict[int, tuple[float, float]] = {}
    whole = Subset(dataset, np.arange(len(dataset))).of_head(head)
    indices = whole.indices[_has_energy(whole)]
    for index in indices[_is_isolated(dataset, indices)]:
        element = int(dataset.rows("numbers", [index])[0])
        charge = abs(float(dataset.rows("charge", [index])[0])) if dataset.has("charge") else 0.0
        candidate = charge, float(dataset.label("energy")[index])
        lowest[element] = min(candidate, lowest.get(element, candidate))
    return {element: energy for element, (_, energy) in lowest.items()}


def _require_all(values: Mapping[int, float], elements: list[int]) -> None:
    missing = [chemical_symbols[z] for z in elements if z not in values]
    if missing:
        raise UserError(
            f"There is no isolated atom with an energy for {listed(missing)}.",
            "data.reference_energies: isolated",
            "Add structures of single atoms, set the energies by symbol, or use fit.",
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
    """Return the magnitude above which force components are outliers, eV/Å; infinity if none are.

    The percentile is that of the nonzero components, computed as the median over chunks.
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
