"""`Evaluation`: predictions and references, and their errors as tables.

Units of errors are in their names, as in `reann.evaluation.metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann import quantities
from reann.display import Displayed, Summary
from reann.error_measures import key, percentage, sentence, unit_of
from reann.errors import counted
from reann.evaluation.metrics import Errors, relative_rmse
from reann.table import Table

if TYPE_CHECKING:
    from reann.report.figure import Figure


@dataclass(frozen=True)
class Outlier:
    """A structure with a large error."""

    index: int
    """Position in the evaluation."""
    origin: str
    group: str
    energy: float
    """Predicted minus reference energy, meV/atom; NaN without a reference."""
    forces: float
    """RMSE of the forces of the structure, meV/Å; NaN without references."""
    atom: int | None
    """Atom with the largest error of the force vector."""
    atom_error: float
    """Norm of this error, meV/Å."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Displayed):
    """Reference and predicted labels of structures, in eV and Å; NaN if missing."""

    origins: list[str]
    """File and index of each structure."""
    groups: list[str]
    """Group of each structure, or an empty string."""
    n_atoms: NDArray[np.int64]
    """(structures,)"""
    numbers: NDArray[np.int64]
    """Atomic numbers, (atoms,)."""
    reference: dict[str, NDArray[np.float64]]
    """Labels of `reann.quantities` by name; the first axis is atoms or structures."""
    predicted: dict[str, NDArray[np.float64]]
    """Predictions of the labels that are outputs of the potential."""
    extrapolating: NDArray[np.bool_] | None = None
    """Atoms whose density is outside the range of the training set, (atoms,); None if unknown."""
    std: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Standard deviation of the members of an ensemble, shapes as in `predicted`."""

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.origins)

    def rows(self, index: int) -> slice:
        """Return the rows of the atoms of a structure."""
        end = int(self.n_atoms[: index + 1].sum())
        return slice(end - int(self.n_atoms[index]), end)

    def residuals(self) -> dict[str, NDArray[np.float64]]:
        """Return predicted minus reference in the units of errors, for labels with references."""
        residuals = {}
        for quantity in quantities.labels():
            name = quantity.name
            if name in self.predicted and name in self.reference:
                # A label that is NaN is missing; a prediction that is NaN is an infinite error.
                predicted = np.nan_to_num(self.predicted[name], nan=np.inf)
                r = quantity.error_unit.factor * (predicted - self.reference[name])
                if quantity.per_size:
                    r = r / self.n_atoms.reshape(-1, *(1 for _ in quantity.shape))
                residuals[name] = r
        return {name: r for name, r in residuals.items() if not np.isnan(r).all()}

    def summary(self) -> dict[str, Any]:
        """Return errors such as `forces_rmse_meV_per_A` or `dipole_rrmse_percent`."""
        errors = _errors(self.residuals()) | self._relative()
        return {**errors, "n_structures": self.n_structures}

    def _relative(self) -> dict[str, float]:
        """Return the relative RMSE of labels that are not derived from the energy."""
        errors = {
            key(name, "rrmse"): relative_rmse(
                quantities.named(name), self.predicted[name], self.reference[name]
            )
            for name in self.residuals()
            if not quantities.named(name).from_energy
        }
        return {name: x for name, x in errors.items() if np.isfinite(x)}

    def by_element(self) -> dict[str, dict[str, Any]]:
        """Return the errors of the forces on the atoms of each element."""
        forces = self.residuals().get("forces")
        if forces is None:
            return {}
        table = {}
        for z in np.unique(self.numbers):
            selected = self.numbers == z
            table[chemical_symbols[z]] = {
                **_errors({"forces": forces[selected]}),
                "n_atoms": int(selected.sum()),
            }
        return table

    def by_group(self) -> dict[str, dict[str, Any]]:
        """Return the errors of each group; empty if there are no groups."""
        if not any(self.groups):
            return {}
        groups, residuals, table = np.array(self.groups), self.residuals(), {}
        for name in sorted(set(self.groups)):
            selected = groups == name
            atoms = np.repeat(selected, self.n_atoms)
            part = {
                k: r[atoms if quantities.is_per_atom(k) else selected] for k, r in residuals.items()
            }
            table[name] = {**_errors(part), "n_structures": int(selected.sum())}
        return table

    def worst(self, n: int) -> list[Outlier]:
        """Return the structures with the largest errors of a force or, without forces, energy."""
        residuals = self.residuals()
        missing = np.full(self.n_structures, np.nan)
        energy = residuals.get("energy", missing)
        atom_error = rmse = missing
        errors = np.full(len(self.numbers), np.nan)
        first = np.cumsum(self.n_atoms) - self.n_atoms
        if "forces" in residuals and self.n_structures:
            errors = np.linalg.norm(residuals["forces"], axis=1)
            atom_error = np.fmax.reduceat(errors, first)
            rmse = _root_mean(errors, self.n_atoms)
        score = np.where(np.isfinite(atom_error), atom_error, -1.0)
        # Structures without forces are ranked by energy, after those with forces.
        order = np.lexsort((-np.nan_to_num(np.abs(energy), nan=-1.0), -score))
        known = np.isfinite(energy) | np.isfinite(atom_error)
        outliers = []
        for i in order[known[order]][:n]:
            of_structure = errors[self.rows(int(i))]
            outliers.append(
                Outlier(
                    index=int(i),
                    origin=self.origins[i],
                    group=self.groups[i],
                    energy=float(energy[i]),
                    forces=float(rmse[i]),
                    atom=int(np.nanargmax(of_structure))
                    if np.isfinite(of_structure).any()
                    else None,
                    atom_error=float(atom_error[i]),
                )
            )
        return outliers

    def table(self) -> Table:
        """Return RMSE and MAE of each label: in total, per element and per group."""
        everything = {**self.summary(), "n_atoms": int(self.n_atoms.sum())}
        parts = [("all", everything)]
        parts += [(f"element {name}", errors) for name, errors in self.by_element().items()]
        parts += [(f"group {name or '(none)'}", x) for name, x in self.by_group().items()]
        rows = [
            (
                part,
                name,
                errors[key(name, "rmse")],
                errors[key(name, "mae")],
                unit_of(name, "rmse").shown,
                errors.get("n_structures"),
                errors.get("n_atoms"),
            )
            for part, errors in parts
            for name in self.residuals()
            if key(name, "rmse") in errors
        ]
        return Table(("part", "label", "RMSE", "MAE", "unit", "structures", "atoms"), rows)

    def plot(self) -> Figure:
        """Return predictions over references, and histograms of errors, for each label.

        Raises
        ------
        UserError
            If there are no labels.
        """
        from reann.report.figure import figure_of
        from reann.report.plots import histogram, parity

        plots = [draw(self, name) for name in self.residuals() for draw in (parity, histogram)]
        return figure_of("Predictions and errors", plots)

    def _summary(self) -> Summary:
        n_atoms = counted(int(self.n_atoms.sum()), "atom")
        rows = [("structures", f"{self.n_structures} with {n_atoms}")]
        errors = self.summary()
        rows += [
            (name, f"RMSE {text.removeprefix(name).strip()}")
            for name in self.residuals()
            if (text := sentence({k: x for k, x in errors.items() if k.startswith(f"{name}_r")}))
        ]
        if len(rows) == 1:
            rows.append(("labels", "none, only predictions"))
        if self.extrapolating is not None and len(self.numbers):
            rows.append(
                ("extrapolating", f"{percentage(100 * self.extrapolating.mean())} % of the atoms")
            )
        return Summary("Evaluation", rows)

    def as_json(self) -> dict[str, Any]:
        """Return the content of the tables as plain numbers, with units in the names."""
        result: dict[str, Any] = {
            **self.summary(),
            "n_atoms": int(self.n_atoms.sum()),
            "by_element": self.by_element(),
            "by_group": self.by_group(),
        }
        if self.extrapolating is not None and len(self.numbers):
            result["extrapolating_fraction"] = float(self.extrapolating.mean())
        return result


def _root_mean(errors: NDArray, counts: NDArray) -> NDArray:
    """Return the RMSE of force components per structure from the norms of error vectors."""
    first = np.cumsum(counts) - counts
    known = np.isfinite(errors)
    squares = np.add.reduceat(np.where(known, errors, 0.0) ** 2, first)
    number = 3.0 * np.add.reduceat(known.astype(float), first)
    return np.sqrt(np.divide(squares, number, out=np.full(len(counts), np.nan), where=number > 0))


def _errors(residuals: dict[str, NDArray]) -> dict[str, float]:
    errors = Errors()
    errors.add({name: torch.as_tensor(r[~np.isnan(r)]) for name, r in residuals.items()})
    return errors.summary()
