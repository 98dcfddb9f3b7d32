"""One streamed pass over the files, then all rules: what is there and what is wrong with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from reann.config import DataConfig
from reann.data.check.finding import MOST_EXAMPLES, Finding, accept, of_head
from reann.data.check.fit import fit_findings
from reann.data.check.inputs import unknown_inputs, varying_keys
from reann.data.check.reading import left_out
from reann.data.check.record import Key, Record, Recorder
from reann.data.check.rules import judge
from reann.data.check.sources import Readings
from reann.data.check.stress_fit import StressFit
from reann.data.check.work import Work
from reann.data.labels import Extractor
from reann.data.neighbors import neighbor_list
from reann.data.read import read_file
from reann.data.remarks import Remark
from reann.data.stated import to_angstrom
from reann.errors import UserError
from reann.input_files import display_name, find_files, path_text

ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass
class FileSummary:
    """What one file holds."""

    name: str
    structures: int = 0
    fewest_atoms: int = 0
    most_atoms: int = 0
    elements: list[str] = field(default_factory=list)
    periodicity: dict[str, int] = field(default_factory=dict)
    """`T T T` and so on, with the number of structures."""
    keys: dict[Key, int] = field(default_factory=dict)
    """Every key with its shape, and in how many structures it is."""
    labels: dict[str, int] = field(default_factory=dict)
    """Energy, forces, ... and in how many structures they were found."""
    energy_per_atom: tuple[float, float] | None = None
    """Lowest and highest, eV."""
    force_rms: float | None = None
    """Median over the structures, eV/Å."""
    force_max: float | None = None
    nearest: float | None = None
    """Shortest distance, Å."""


@dataclass
class Survey:
    """Everything that is known about the files."""

    files: list[FileSummary]
    findings: list[Finding]
    notes: tuple[str, ...] = ()
    """How the labels are read, and which keys are not used."""

    def worst(self) -> str:
        """Return the gravest severity, `none` without findings."""
        return min((f.severity for f in self.findings), key=lambda s: ORDER[s], default="none")


def survey(
    patterns: Sequence[str],
    data: DataConfig | None,
    cutoff: float,
    *,
    fit: bool = False,
    inputs: Collection[str] | None = None,
) -> Survey:
    """Read all files once and check them.

    Parameters
    ----------
    patterns
        Files or globs.
    data
        Keys and units; found automatically and eV, Å without it.
    cutoff
        Å; atoms without a neighbor within it are reported.
    fit
        Whether to read the files twice more and look for single wrong structures by a quick fit.
    inputs
        What the energy of the model depends on besides atoms and cell; None: no model is known.
    """
    records: list[Record] = []
    remarks: list[Remark] = []
    findings: list[Finding | None] = []
    readings, heads = Readings(data), dict[str, _Evidence]()
    refused: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in _paths(patterns, findings):
        name, reading = display_name(path), readings.of(path)
        try:
            for atoms, origin in read_file(path, name, remarks.append):
                reading.census.add(atoms, origin)
                labels = _labels(reading.extract, atoms, origin, refused)
                with suppress(UserError):  # a unit that is wrong was refused with the labels
                    to_angstrom(atoms, reading.data.units, origin)
                head = labels.get("head", reading.head)
                evidence = heads.setdefault(head, _Evidence(cutoff))
                records.append(evidence.add(atoms, origin, labels))
        except UserError as error:
            findings.append(_from_error(error, "unreadable", name))
    findings += left_out(remarks, data is not None and data.missing == "allow")
    for (what, fix), origins in refused.items():
        shown = tuple(origins[:MOST_EXAMPLES])
        findings.append(Finding("bad-label", "error", what, fix, len(origins), shown))
    notes = _notes(readings, findings) if records and not refused else ()
    for head, evidence in (heads or {"": _Evidence(cutoff)}).items():
        found = evidence.judge()
        findings += [of_head(f, head) for f in found] if len(heads) > 1 else found
    findings += unknown_inputs(varying_keys(records), inputs)
    if fit and records:
        elements = sorted({z for r in records for z, _ in r.composition})
        findings += fit_findings(patterns, readings, cutoff, elements)
    known = [f.for_command_line() for f in findings if f is not None]
    known = accept(known, data.accept if data else [])
    names = dict.fromkeys(r.file for r in records)
    by_file = {name: [r for r in records if r.file == name] for name in names}
    return Survey(
        [summarize(name, members) for name, members in by_file.items()],
        sorted(known, key=lambda f: ORDER[f.severity]),
        notes,
    )


class _Evidence:
    """What the checks compare: structures whose labels belong to one head."""

    def __init__(self, cutoff: float) -> None:
        self._cutoff = cutoff
        self._records: list[Record] = []
        self._recorder, self._work = Recorder(neighbor_list, cutoff), Work()
        self._stress_fit = StressFit()

    def add(self, atoms: Atoms, origin: str, labels: dict[str, Any]) -> Record:
        """Take in a structure in Å."""
        self._work.add(atoms, labels)
        self._stress_fit.add(atoms, origin, labels)
        self._records.append(self._recorder(atoms, origin, labels))
        return self._records[-1]

    def judge(self) -> list[Finding]:
        """Return what all rules find."""
        bonds = self._recorder.bonds
        return judge(self._records, self._cutoff, self._work, bonds, self._stress_fit)


def _notes(readings: Readings, findings: list[Finding | None]) -> tuple[str, ...]:
    """Return how labels are read; what stands against it becomes a finding."""
    notes: list[str] = []
    every = list(readings.used())
    for reading in every:
        try:
            data = reading.data.model_copy(update={"missing": "allow"})
            own = reading.census.resolve(data, reading.where).notes
        except UserError as error:  # noqa: PERF203 - the other sources are still checked
            findings.append(_from_error(error, "keys", ""))
        else:
            notes += [f"{reading.where}: {note}" for note in own] if len(every) > 1 else own
    return tuple(notes)


def _paths(patterns: Sequence[str], findings: list[Finding | None]) -> Iterator[Path]:
    """Yield the files that exist; a name without a file becomes a finding."""
    for pattern in patterns:
        try:
            yield from find_files(pattern)
        except UserError as error:  # noqa: PERF203 - the other files are still checked
            findings.append(_from_error(error, "unreadable", path_text(pattern)))


def _labels(
    extract: Extractor, atoms: Atoms, origin: str, refused: dict[tuple[str, str], list[str]]
) -> dict[str, Any]:
    """Return the labels of a structure; none, and a remark, when they cannot be read."""
    try:
        return extract(atoms, origin)
    except UserError as error:
        refused[error.what, error.fix].append(error.where or origin)
        return {}


def _from_error(error: UserError, name: str, where: str) -> Finding:
    return Finding(name, "error", error.what, error.fix, examples=(error.where or where,))


def summarize(name: str, records: Sequence[Record]) -> FileSummary:
    """Count what the records of one file hold."""
    numbers = sorted({z for r in records for z, _ in r.composition})
    energies = [r.energy / r.n_atoms for r in records if r.energy is not None and r.n_atoms]
    sizes = [r.force_rms for r in records if r.force_rms is not None]
    closest = min((r.closest[0] for r in records), default=np.inf)
    return FileSummary(
        name=name,
        structures=len(records),
        fewest_atoms=min((r.n_atoms for r in records), default=0),
        most_atoms=max((r.n_atoms for r in records), default=0),
        elements=[chemical_symbols[z] for z in numbers],
        periodicity=dict(Counter(" ".join("FT"[p] for p in r.pbc) for r in records)),
        keys=dict(Counter(key for r in records for key in r.keys)),
        labels=dict(Counter(label for r in records for label in r.labels)),
        energy_per_atom=(min(energies), max(energies)) if energies else None,
        force_rms=float(np.median(sizes)) if sizes else None,
        force_max=max((r.force_max for r in records if r.force_max is not None), default=None),
        nearest=closest if np.isfinite(closest) else None,
    )
