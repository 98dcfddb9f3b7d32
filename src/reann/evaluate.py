"""Errors of a potential on structures with labels: what `reann evaluate` and the report show.

`evaluate` predicts every structure once and keeps the numbers; the tables are views of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from reann import checkpoint
from reann.config import DataConfig, Keys, Units
from reann.data.dataset import Subset, open_dataset
from reann.errors import UserError, listed
from reann.metrics import LABELS, Errors
from reann.potential import Ensemble, Potential, load

PER_ATOM = ("forces",)


@dataclass(frozen=True)
class Outlier:
    """A structure with a large error."""

    index: int
    """Position in the evaluation."""
    origin: str
    group: str
    energy: float
    """Predicted minus reference energy, meV/atom; NaN where there is no reference."""
    forces: float
    """RMSE of the structure's forces, meV/Å; NaN where there is no reference."""
    atom: int | None
    """The atom with the largest error of the force vector."""
    atom_error: float
    """Length of that error, meV/Å."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Reference and predicted labels of structures, in eV and Å; NaN where there is none."""

    origins: list[str]
    """File and place of each structure."""
    groups: list[str]
    """Group of each structure, or an empty string."""
    n_atoms: NDArray[np.int64]
    """(structures,)"""
    numbers: NDArray[np.int64]
    """Atomic numbers, (atoms,)."""
    reference: dict[str, NDArray[np.float64]]
    """Energy (structures,), forces (atoms, 3), stress (structures, 3, 3), as far as known."""
    predicted: dict[str, NDArray[np.float64]]
    """The same labels and always energy and forces."""
    extrapolating: NDArray[np.bool_] | None = None
    """Which atoms have a density outside the range of the training, (atoms,); None: unknown."""
    std: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Standard deviation of the members of an ensemble, shapes as `predicted`."""

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.origins)

    def rows(self, index: int) -> slice:
        """Return where the atoms of a structure are."""
        end = int(self.n_atoms[: index + 1].sum())
        return slice(end - int(self.n_atoms[index]), end)

    def residuals(self) -> dict[str, NDArray[np.float64]]:
        """Return predicted minus reference: meV/atom, meV/Å, meV/Å^3, for labels that occur."""
        found = {
            name: 1e3 * (self.predicted[name] - self.reference[name])
            for name in LABELS
            if name in self.predicted and name in self.reference
        }
        if "energy" in found:
            found["energy"] = found["energy"] / self.n_atoms
        return {name: r for name, r in found.items() if np.isfinite(r).any()}

    def summary(self) -> dict[str, Any]:
        """Return such as `forces_rmse_meV_per_A` for every label with a reference."""
        return {**_errors(self.residuals()), "n_structures": self.n_structures}

    def by_element(self) -> dict[str, dict[str, Any]]:
        """Return the errors of the forces on the atoms of each element."""
        forces = self.residuals().get("forces")
        if forces is None:
            return {}
        table = {}
        for z in np.unique(self.numbers):
            mine = self.numbers == z
            table[chemical_symbols[z]] = {
                **_errors({"forces": forces[mine]}),
                "n_atoms": int(mine.sum()),
            }
        return table

    def by_group(self) -> dict[str, dict[str, Any]]:
        """Return the errors of each group; nothing when there are no groups."""
        if not any(self.groups):
            return {}
        groups, residuals, table = np.array(self.groups), self.residuals(), {}
        for name in sorted(set(self.groups)):
            mine = groups == name
            atoms = np.repeat(mine, self.n_atoms)
            part = {k: r[atoms if k in PER_ATOM else mine] for k, r in residuals.items()}
            table[name] = {**_errors(part), "n_structures": int(mine.sum())}
        return table

    def worst(self, n: int) -> list[Outlier]:
        """Return the structures with the largest error of a force, or else of the energy."""
        every = self.residuals()
        nothing = np.full(self.n_structures, np.nan)
        energy = every.get("energy", nothing)
        atom_error = rmse = nothing
        errors = np.full(len(self.numbers), np.nan)
        first = np.cumsum(self.n_atoms) - self.n_atoms
        if "forces" in every and self.n_structures:
            errors = np.linalg.norm(every["forces"], axis=1)
            atom_error = np.fmax.reduceat(errors, first)
            rmse = _root_mean(errors, self.n_atoms)
        score = np.where(np.isfinite(atom_error), atom_error, -1.0)
        # Structures without forces rank behind those with, by their energies.
        order = np.lexsort((-np.nan_to_num(np.abs(energy), nan=-1.0), -score))
        known = np.isfinite(energy) | np.isfinite(atom_error)
        found = []
        for i in order[known[order]][:n]:
            own = errors[self.rows(int(i))]
            found.append(
                Outlier(
                    index=int(i),
                    origin=self.origins[i],
                    group=self.groups[i],
                    energy=float(energy[i]),
                    forces=float(rmse[i]),
                    atom=int(np.nanargmax(own)) if np.isfinite(own).any() else None,
                    atom_error=float(atom_error[i]),
                )
            )
        return found


def _root_mean(errors: NDArray, counts: NDArray) -> NDArray:
    """Return the RMSE of force components per structure from lengths of error vectors."""
    first = np.cumsum(counts) - counts
    known = np.isfinite(errors)
    squares = np.add.reduceat(np.where(known, errors, 0.0) ** 2, first)
    number = 3.0 * np.add.reduceat(known.astype(float), first)
    return np.sqrt(np.divide(squares, number, out=np.full(len(counts), np.nan), where=number > 0))


def _errors(residuals: dict[str, NDArray]) -> dict[str, float]:
    errors = Errors()
    errors.add({name: torch.as_tensor(r) for name, r in residuals.items()})
    return errors.summary()


def evaluate(
    potential: Potential | Ensemble,
    subset: Subset,
    max_edges: int = 200_000,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Predict every structure of a part of a data set.

    Parameters
    ----------
    max_edges
        Most neighbor pairs in memory at once; a larger structure is alone.
    progress
        Called with the number of structures after each batch.

    Raises
    ------
    UserError
        When structures have elements that the potential does not know: which structures.
    """
    dataset = subset.dataset
    indices = np.asarray(subset.indices, dtype=np.int64)
    known = [name for name in LABELS if dataset.has(name)]
    wanted = ["energy", "forces", "stress"]
    ranges = [m.model.get_buffer("density_min") for m in potential.members]
    has_range = all(bool(torch.isfinite(low).all()) for low in ranges)
    numbers, outside = [], []
    reference: dict[str, list[NDArray]] = {name: [] for name in known}
    predicted: dict[str, list[NDArray]] = {}
    for batch in _batches(indices, dataset.n_edges, max_edges):
        graph = dataset.graph(batch)
        _check_elements(
            potential, subset, batch, graph.atomic_numbers.numpy(), graph.system.numpy()
        )
        graph = graph.to(potential.device)
        for name, value in potential.evaluate(graph, wanted).items():
            predicted.setdefault(name, []).append(value.detach().cpu().double().numpy())
        for name in known:
            reference[name].append(graph.labels[name].cpu().double().numpy())
        numbers.append(graph.atomic_numbers.cpu().numpy())
        if has_range:
            found = [m.model.extrapolates(graph) for m in potential.members]
            outside.append(torch.stack(found).any(0).cpu().numpy())
        if progress:
            progress(len(batch))
    together = {name: np.concatenate(parts) for name, parts in predicted.items()}
    if "stress" in together and not np.isfinite(together["stress"]).any():
        together = {k: v for k, v in together.items() if not k.startswith("stress")}
    std = {k.removesuffix("_std"): v for k, v in together.items() if k.endswith("_std")}
    return Evaluation(
        origins=[dataset.origin(int(i)) for i in indices],
        groups=[dataset.groups[int(i)] for i in indices],
        n_atoms=dataset.n_atoms[indices],
        numbers=np.concatenate(numbers) if numbers else np.empty(0, np.int64),
        reference={name: np.concatenate(parts) for name, parts in reference.items() if parts},
        predicted={k: v for k, v in together.items() if not k.endswith("_std")},
        extrapolating=np.concatenate(outside) if outside else None,
        std=std,
    )


def _batches(indices: NDArray, edges: NDArray, max_edges: int) -> list[NDArray]:
    """Cut the structures, in order, into batches of at most `max_edges` neighbor pairs."""
    starts, room = [], 0
    for place, index in enumerate(indices):
        # One more for each structure: isolated atoms need memory, too.
        if not starts or room < edges[index] + 1:
            starts.append(place)
            room = max_edges
        room -= int(edges[index]) + 1
    return np.split(indices, starts[1:]) if starts else []


def _check_elements(
    potential: Potential | Ensemble,
    subset: Subset,
    batch: NDArray,
    numbers: NDArray,
    system: NDArray,
) -> None:
    unknown = ~np.isin(numbers, potential.model.elements)
    if unknown.any():
        symbols = sorted({chemical_symbols[z] for z in numbers[unknown]})
        where = [subset.dataset.origin(int(i)) for i in batch[np.unique(system[unknown])]]
        raise UserError(
            f"The potential knows {', '.join(potential.elements)}; "
            f"the data also have {', '.join(symbols)}.",
            listed(where),
            "Leave these structures out, or train with structures that hold these elements.",
        )


def evaluate_command(
    model: Path,
    files: Sequence[str],
    json_path: Path | None = None,
    output: Path | None = None,
    *,
    group: str | None = None,
    engine: str = "auto",
    keys: Keys | None = None,
    units: Units | None = None,
    device: str = "cpu",
    console: Console | None = None,
) -> Evaluation:
    """Print error tables, and write them as JSON and the predictions as extended XYZ.

    Parameters
    ----------
    group
        Label that names the group of a structure; `config_type` is found.
    keys, units
        Of the files; found automatically, and eV and Å.

    Raises
    ------
    UserError
        For unreadable files, unknown elements, and outputs that cannot be written.
    """
    from reann.report import predictions, tables

    if engine == "native":
        raise UserError(
            "This installation has no native engine.", "--engine native", "Use --engine torch."
        )
    predictions.check_name(output)
    console = console or Console()
    potential = load(model, device)
    keys = keys or Keys()
    data = DataConfig(
        train=list(files),
        keys=keys.model_copy(update={"group": group}) if group else keys,
        units=units or Units(),
        missing="allow",
    )
    with tempfile.TemporaryDirectory(prefix="reann-") as folder:
        dataset = open_dataset(list(files), data, potential.cutoff, Path(folder))
        subset = Subset(dataset, np.arange(len(dataset)))
        quiet = not sys.stderr.isatty()
        with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
            task = bar.add_task("predicting", total=len(subset.indices))
            found = evaluate(potential, subset, progress=lambda n: bar.advance(task, n))
        tables.show(found, console)
        if output is not None:
            predictions.write(output, found, dataset.atoms)
            console.print(f"Predictions: {output}", highlight=False)
    if json_path is not None:
        about = {"model": str(model), "files": [str(file) for file in files]}
        text = json.dumps(about | as_json(found), indent=2, ensure_ascii=False) + "\n"
        with checkpoint.replacing(Path(json_path)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return found


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything the tables show as plain numbers, units in the names."""
    result: dict[str, Any] = {
        **evaluation.summary(),
        "n_atoms": int(evaluation.n_atoms.sum()),
        "by_element": evaluation.by_element(),
        "by_group": evaluation.by_group(),
    }
    if evaluation.extrapolating is not None and len(evaluation.numbers):
        result["extrapolating_fraction"] = float(evaluation.extrapolating.mean())
    return result
