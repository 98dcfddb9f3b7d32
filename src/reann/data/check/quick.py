"""The checks at the start of a training, on arrays that have already been read.

The rules of `reann check` are applied to all labels, and to the distances of a limited number of
structures. No file is read again, so checks of keys and of `free_energy` are omitted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reann.data.check.arrays import labels_of, largest_forces, measure, records_of
from reann.data.check.bonds import Bonds
from reann.data.check.branches import Branches
from reann.data.check.dipole_range import DipoleRange
from reann.data.check.energies import residuals_of_energies
from reann.data.check.finding import Finding, accept, of_head
from reann.data.check.force_units import declared_unit
from reann.data.check.inputs import of_the_energy, unknown_inputs
from reann.data.check.record import Record
from reann.data.check.rules import judge
from reann.data.check.stress_fit import StressFit
from reann.data.check.work import Work
from reann.data.dataset import Dataset, Subset
from reann.data.labels.conditions import unknown_to_model
from reann.errors import UserError

ReportLine = Callable[[str], None]

MOST_RECORDS = 20_000
"""Maximum number of structures whose labels are checked: evenly spaced, and the largest forces."""
MOST_GEOMETRIES, MOST_PAIRS = 300, 500_000
"""Maximum number of structures whose distances are measured, and of neighbor pairs in them."""
MOST_ALIKE, MOST_COMPARED = 60, 300
"""Maximum number of structures whose energies are compared with forces and stresses: for each
composition, and in total."""
MOST_FITTED = 100
"""Maximum number of structures per data set whose stresses are compared with their forces."""
MOST_CONSECUTIVE = 300
"""Maximum number of structures per data set whose dipoles are compared, the first ones, because
consecutive structures are often similar."""
WORST = 50
"""Structures with the largest forces or energy residuals, which are always measured."""
SHOWN = 3
"""Number of examples in a note."""


def check_at_start(
    datasets: Sequence[Dataset],
    cutoff: float,
    accepted: Collection[str],
    report_line: ReportLine,
    inputs: Collection[str] | None = None,
    *,
    stops: bool = True,
) -> list[str]:
    """Check the data of a training, report warnings, and return their names.

    Parameters
    ----------
    datasets
        Training, validation and test sets.
    cutoff
        Cutoff radius of the model, Å.
    accepted
        Names of errors that do not stop the training (`data.accept`).
    report_line
        Prints a line.
    inputs
        Inputs of the energy besides atoms and cell (`model.inputs`).
    stops
        Whether errors stop the training; otherwise they are warnings.

    Raises
    ------
    UserError
        If the checks find an error that is not accepted, and `stops`.
    """
    findings = quick_findings(datasets, cutoff)
    if inputs is not None:
        findings += unknown_inputs({key for data in datasets for key in data.varying}, inputs)
    findings = accept(findings, accepted)
    if not stops:
        findings = [
            replace(f, severity="warning") if f.severity == "error" else f for f in findings
        ]
    # Labels are missing only if the configuration allows it; otherwise reading would have failed.
    findings = [f for f in findings if f.name != "mixed-labels"]
    for f in findings:
        if f.severity == "warning" or f.name in accepted:
            grade = "note" if f.name in accepted else "warning"
            report_line(f"{grade:9} {f.name}: {f.message}{_examples(f)}")
    errors = [f for f in findings if f.severity == "error"]
    if errors:
        names = ", ".join(f.name for f in errors)
        raise UserError(
            "; ".join(f"{f.name}: {f.message}" for f in errors) + ".",
            ", ".join(dict.fromkeys(e for f in errors for e in f.examples[:SHOWN]))
            or ", ".join(name for dataset in datasets for name, _ in dataset.files[:SHOWN]),
            " ".join(dict.fromkeys(f.fix for f in errors))
            + f" If the data are correct as they are, write `data: {{accept: [{names}]}}`.",
        )
    return [f.name for f in findings if f.severity == "warning"]


def quick_findings(datasets: Sequence[Dataset], cutoff: float) -> list[Finding]:
    """Return the findings of the rules of `reann check` for data sets that have been read."""
    n_heads = max((dataset.n_heads for dataset in datasets), default=1)
    findings = []
    for head in range(n_heads):
        for_head = _of_head(datasets, cutoff, head)
        findings += [of_head(f, str(head)) for f in for_head] if n_heads > 1 else for_head
    cause = unknown_to_model(sorted({name for dataset in datasets for name in dataset.varying}))
    return [
        replace(f, message=f.message + cause) if f.name == "contradictions" else f for f in findings
    ]


def _of_head(datasets: Sequence[Dataset], cutoff: float, head: int) -> list[Finding]:
    """Return the findings for the structures whose labels belong to a head."""
    records: list[Record] = []
    work, bonds, stress_fit = Work(MOST_ALIKE), Bonds(), StressFit()
    of_dipoles = (Branches(), DipoleRange())
    for dataset in datasets:
        chosen = _chosen(dataset, head)
        if not len(chosen):
            continue
        added = records_of(dataset, chosen)
        records += added
        for row in _to_measure(dataset, chosen, added):
            measure(dataset, int(chosen[row]), added[row], bonds)
        for row in _alike(added):
            index = int(chosen[row])
            inputs = of_the_energy(added[row].inputs)
            work.add(dataset.atoms(index), labels_of(dataset, index), inputs)
        for index in _spaced(chosen, MOST_FITTED) if dataset.has("stress") else ():
            labels = labels_of(dataset, int(index))
            stress_fit.add(dataset.atoms(index), dataset.origin(index), labels)
        for index in _with_dipoles(dataset, chosen):
            labels = {"dipole": dataset.rows("dipole", [index])[0]}
            atoms, origin = dataset.atoms(index), dataset.origin(index)
            for check in of_dipoles:
                check.add(atoms, origin, labels)
    declared = declared_unit(each.data.units for dataset in datasets for each in dataset.sources)
    if not records:
        return []
    by_rules = judge(records, cutoff, work, bonds, stress_fit, declared=declared)
    return [*by_rules, *(f for check in of_dipoles if (f := check.finding()) is not None)]


def _chosen(dataset: Dataset, head: int) -> NDArray[np.int64]:
    """Return the structures of a head that are checked."""
    members = Subset(dataset, np.arange(len(dataset))).of_head(head).indices
    count = len(members)
    if count <= MOST_RECORDS:
        return members
    spaced = np.linspace(0, count - 1, MOST_RECORDS).astype(np.int64)
    worst = np.argsort(-largest_forces(dataset)[members])[:WORST]
    return members[np.union1d(spaced, worst)]


def _to_measure(
    dataset: Dataset, chosen: NDArray[np.int64], records: Sequence[Record]
) -> list[int]:
    """Return the rows of the structures whose distances are measured, the worst labels first."""
    forces = np.array([r.force_max or 0.0 for r in records])
    worst = np.argsort(-forces, kind="stable")[:WORST].tolist()
    labeled = [row for row, r in enumerate(records) if r.energy is not None]
    if labeled:
        residuals, _ = residuals_of_energies([records[row] for row in labeled])
        worst += [labeled[i] for i in np.argsort(-np.abs(residuals), kind="stable")[:WORST]]
    spaced = _spaced(np.arange(len(chosen)), MOST_GEOMETRIES)
    rows = np.array(list(dict.fromkeys([*worst, *spaced.tolist()])))
    return rows[np.cumsum(dataset.n_edges[chosen[rows]]) <= MOST_PAIRS].tolist()


def _spaced(values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most `most` of the values, evenly spaced."""
    return values[np.linspace(0, len(values) - 1, min(most, len(values))).astype(np.int64)]


def _with_dipoles(dataset: Dataset, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first structures of a periodic data set with dipoles."""
    return chosen[: MOST_CONSECUTIVE if dataset.periodic and dataset.has("dipole") else 0]


def _alike(records: Sequence[Record]) -> list[int]:
    """Return the rows of structures that share their composition, a few of each composition."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        groups[record.order, record.n_atoms, record.inputs].append(row)
    alike = [row for g in groups.values() if len(g) > 1 for row in g[:MOST_ALIKE]]
    return alike[:MOST_COMPARED]


def _examples(finding: Finding) -> str:
    if not finding.examples:
        return ""
    more = ", …" if finding.count > SHOWN else ""
    return f": {', '.join(finding.examples[:SHOWN])}{more}"
