"""The checks at the start of a training, from the arrays that have just been read.

The rules of `reann check` judge all labels, and the distances of a limited number of structures.
No file is read again. What only the files know (keys, `free_energy`) is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reann.data.check.arrays import labels_of, largest_forces, measure, records_of
from reann.data.check.bonds import Bonds
from reann.data.check.energies import residuals_of_energies
from reann.data.check.finding import Finding, accept, of_head
from reann.data.check.inputs import unknown_inputs
from reann.data.check.record import Record
from reann.data.check.rules import judge
from reann.data.check.stress_fit import StressFit
from reann.data.check.work import Work
from reann.data.conditions import unknown_to_model
from reann.data.dataset import Dataset, Subset
from reann.errors import UserError

Say = Callable[[str], None]

MOST_RECORDS = 20_000
"""Structures whose labels are judged; of more, evenly spaced ones and the largest forces."""
MOST_GEOMETRIES, MOST_PAIRS = 300, 500_000
"""Structures whose distances are measured, and neighbor pairs in all of them."""
MOST_ALIKE, MOST_COMPARED = 60, 300
"""Structures whose energies are compared with forces and stresses: of one composition, in all."""
MOST_FITTED = 100
"""Structures whose stresses are compared with their forces, of each data set."""
WORST = 50
"""Structures with the largest forces, and the energies farthest off, that are always measured."""
SHOWN = 3
"""Examples in a note."""


def check_at_start(
    datasets: Sequence[Dataset],
    cutoff: float,
    accepted: Collection[str],
    say: Say,
    inputs: Collection[str] | None = None,
) -> None:
    """Say what the checks find in the data of a training.

    Parameters
    ----------
    datasets
        All that is trained, validated or tested on.
    cutoff
        Of the model, Å.
    accepted
        Names of errors that do not stop the training (`data.accept`).
    say
        Prints a line.
    inputs
        What the energy of the model depends on besides atoms and cell (`model.inputs`).

    Raises
    ------
    UserError
        If there is an error that is not accepted.
    """
    findings = quick_findings(datasets, cutoff)
    if inputs is not None:
        findings += unknown_inputs({key for data in datasets for key in data.varying}, inputs)
    findings = accept(findings, accepted)
    # Labels may be missing where the configuration says so; else reading has failed before.
    findings = [f for f in findings if f.name != "mixed-labels"]
    for f in findings:
        if f.severity == "warning" or f.name in accepted:
            say(f"note      {f.name}: {f.message}{_examples(f)}")
    errors = [f for f in findings if f.severity == "error"]
    if errors:
        names = ", ".join(f.name for f in errors)
        raise UserError(
            "; ".join(f"{f.name}: {f.message}" for f in errors) + ".",
            ", ".join(dict.fromkeys(e for f in errors for e in f.examples[:SHOWN]))
            or ", ".join(name for dataset in datasets for name, _ in dataset.files[:SHOWN]),
            " ".join(dict.fromkeys(f.fix for f in errors))
            + f" If the data are right as they are, write `data: {{accept: [{names}]}}`.",
        )


def quick_findings(datasets: Sequence[Dataset], cutoff: float) -> list[Finding]:
    """Return what the rules of `reann check` find in data sets that have been read."""
    n_heads = max((dataset.n_heads for dataset in datasets), default=1)
    found = []
    for head in range(n_heads):
        of_one = _of_head(datasets, cutoff, head)
        found += [of_head(f, str(head)) for f in of_one] if n_heads > 1 else of_one
    cause = unknown_to_model(sorted({name for dataset in datasets for name in dataset.varying}))
    return [
        replace(f, message=f.message + cause) if f.name == "contradictions" else f for f in found
    ]


def _of_head(datasets: Sequence[Dataset], cutoff: float, head: int) -> list[Finding]:
    """Return what the rules find in the structures whose labels belong to one head."""
    records: list[Record] = []
    work, bonds, stress_fit = Work(MOST_ALIKE), Bonds(), StressFit()
    for dataset in datasets:
        chosen = _chosen(dataset, head)
        if not len(chosen):
            continue
        some = records_of(dataset, chosen)
        records += some
        for place in _to_measure(dataset, chosen, some):
            measure(dataset, int(chosen[place]), some[place], bonds)
        for place in _alike(some):
            index = int(chosen[place])
            work.add(dataset.atoms(index), labels_of(dataset, index))
        for index in _spaced(chosen, MOST_FITTED) if dataset.has("stress") else ():
            labels = labels_of(dataset, int(index))
            stress_fit.add(dataset.atoms(index), dataset.origin(index), labels)
    return judge(records, cutoff, work, bonds, stress_fit) if records else []


def _chosen(dataset: Dataset, head: int) -> NDArray[np.int64]:
    """Return the structures of a head that are judged."""
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
    """Return the places of those whose distances are measured, the worst labels first."""
    forces = np.array([r.force_max or 0.0 for r in records])
    worst = np.argsort(-forces, kind="stable")[:WORST].tolist()
    labeled = [place for place, r in enumerate(records) if r.energy is not None]
    if labeled:
        away, _ = residuals_of_energies([records[place] for place in labeled])
        worst += [labeled[i] for i in np.argsort(-np.abs(away), kind="stable")[:WORST]]
    spaced = _spaced(np.arange(len(chosen)), MOST_GEOMETRIES)
    places = np.array(list(dict.fromkeys([*worst, *spaced.tolist()])))
    return places[np.cumsum(dataset.n_edges[chosen[places]]) <= MOST_PAIRS].tolist()


def _spaced(values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most so many of the values, evenly spaced."""
    return values[np.linspace(0, len(values) - 1, min(most, len(values))).astype(np.int64)]


def _alike(records: Sequence[Record]) -> list[int]:
    """Return the places of structures of the same atoms, the first of each composition."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        groups[record.order, record.n_atoms, record.inputs].append(place)
    alike = [place for g in groups.values() if len(g) > 1 for place in g[:MOST_ALIKE]]
    return alike[:MOST_COMPARED]


def _examples(finding: Finding) -> str:
    if not finding.examples:
        return ""
    more = ", …" if finding.count > SHOWN else ""
    return f": {', '.join(finding.examples[:SHOWN])}{more}"
