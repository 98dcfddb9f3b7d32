"""`reann check`: one pass over the files, then all rules."""

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

from reann.config import DataConfig, DispersionConfig
from reann.data.check.branches import Branches
from reann.data.check.dipole_range import DipoleRange
from reann.data.check.dispersion import contradiction, methods_of
from reann.data.check.finding import MOST_EXAMPLES, Finding, accept, of_head
from reann.data.check.fit import fit_findings
from reann.data.check.force_units import DeclaredUnit, declared_unit
from reann.data.check.inputs import OF_THE_ENERGY, unknown_inputs, varying_keys
from reann.data.check.jumps import Jumps
from reann.data.check.reading import left_out
from reann.data.check.record import Key, Record
from reann.data.check.recorder import Recorder
from reann.data.check.rules import judge
from reann.data.check.sources import Readings
from reann.data.check.stress_fit import StressFit
from reann.data.check.work import Work
from reann.data.files.read import read_file
from reann.data.files.skipped import SkippedData
from reann.data.labels.extract import Extractor
from reann.data.labels.file_units import to_angstrom
from reann.data.labels.inputs import InputKeys, State
from reann.data.neighbors import neighbor_list
from reann.errors import UserError
from reann.input_files import display_name, find_files, path_text

ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass
class FileSummary:
    """Summary of a file."""

    name: str
    structures: int = 0
    fewest_atoms: int = 0
    most_atoms: int = 0
    elements: list[str] = field(default_factory=list)
    periodicity: dict[str, int] = field(default_factory=dict)
    """`T T T` and so on, with the number of structures."""
    keys: dict[Key, int] = field(default_factory=dict)
    """Keys, and the number of structures that have them."""
    labels: dict[str, int] = field(default_factory=dict)
    """Labels, and the number of structures that have them."""
    energy_per_atom: tuple[float, float] | None = None
    """Lowest and highest, eV."""
    force_rms: float | None = None
    """Median over the structures, eV/Å."""
    force_max: float | None = None
    nearest: float | None = None
    """Shortest distance, Å."""


@dataclass
class Survey:
    """Summaries of the files, findings, and notes about their labels."""

    files: list[FileSummary]
    findings: list[Finding]
    notes: tuple[str, ...] = ()
    """How the labels are read, and keys that are not used."""

    def worst(self) -> str:
        """Return the most severe severity, `none` without findings."""
        return min((f.severity for f in self.findings), key=lambda s: ORDER[s], default="none")


def survey(
    patterns: Sequence[str],
    data: DataConfig | None,
    cutoff: float,
    *,
    fit: bool = False,
    inputs: Collection[str] | None = None,
    dispersion: DispersionConfig | None = None,
) -> Survey:
    """Read all files once and check them.

    Parameters
    ----------
    patterns
        Files or globs.
    data
        Keys and units; by default, keys are detected and units are eV and Å.
    cutoff
        Radius in Å; atoms without a neighbor within it are reported.
    fit
        Whether to read the files twice more and detect single wrong structures by a quick fit.
    inputs
        Inputs of the energy of the model besides atoms and cell; None if no model is known.
    dispersion
        `model.dispersion`, which is compared with the method that the files name.
    """
    records: list[Record] = []
    methods: set[str] = set()
    skipped: list[SkippedData] = []
    findings: list[Finding | None] = []
    readings, heads = Readings(data), dict[str, _Evidence]()
    refused: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in _paths(patterns, findings):
        name, reading = display_name(path), readings.of(path)
        try:
            for atoms, origin in read_file(path, name, skipped.append):
                reading.census.add(atoms, origin)
                methods |= methods_of(atoms.info)
                labels = _labels(reading.extract, atoms, origin, refused)
                with suppress(UserError):  # a wrong unit was already reported with the labels
                    to_angstrom(atoms, reading.data.units, origin)
                head = labels.get("head", reading.head)
                evidence = heads.setdefault(head, _Evidence(cutoff))
                of_energy = InputKeys.of_files(OF_THE_ENERGY, reading.data.keys).state(atoms.info)
                records.append(evidence.add(atoms, origin, labels, of_energy))
                of_model = InputKeys.of_files(inputs or (), reading.data.keys).state(atoms.info)
                records[-1].inputs = of_model
        except UserError as error:
            findings.append(_from_error(error, "unreadable", name))
    findings += left_out(skipped, data is not None and data.missing == "allow")
    for (what, fix), origins in refused.items():
        shown = tuple(origins[:MOST_EXAMPLES])
        findings.append(Finding("bad-label", "error", what, fix, len(origins), shown))
    notes = _notes(readings, findings) if records and not refused else ()
    declared = declared_unit(reading.data.units for reading in readings.used())
    for head, evidence in (heads or {"": _Evidence(cutoff)}).items():
        of_evidence = evidence.judge(declared)
        findings += [of_head(f, head) for f in of_evidence] if len(heads) > 1 else of_evidence
    findings += unknown_inputs(varying_keys(records), inputs)
    findings.append(contradiction(methods, dispersion))
    if fit and records:
        elements = sorted({z for r in records for z, _ in r.composition})
        findings += fit_findings(patterns, readings, cutoff, elements)
    reported = [f.for_command_line() for f in findings if f is not None]
    reported = accept(reported, data.accept if data else [])
    names = dict.fromkeys(r.file for r in records)
    by_file = {name: [r for r in records if r.file == name] for name in names}
    return Survey(
        [summarize(name, members) for name, members in by_file.items()],
        sorted(reported, key=lambda f: ORDER[f.severity]),
        notes,
    )


class _Evidence:
    """Data of the structures whose labels belong to one head, for the checks."""

    def __init__(self, cutoff: float) -> None:
        self._cutoff = cutoff
        self._records: list[Record] = []
        self._recorder, self._work = Recorder(neighbor_list, cutoff), Work()
        self._stress_fit, self._jumps = StressFit(), Jumps()
        self._branches, self._dipole_range = Branches(), DipoleRange()

    def add(self, atoms: Atoms, origin: str, labels: dict[str, Any], inputs: State) -> Record:
        """Add a structure, with lengths in Å; `inputs` are those that energies may depend on."""
        self._work.add(atoms, labels, inputs)
        self._jumps.add(atoms, origin, labels, inputs)
        self._stress_fit.add(atoms, origin, labels)
        self._branches.add(atoms, origin, labels)
        self._dipole_range.add(atoms, origin, labels)
        self._records.append(self._recorder(atoms, origin, labels))
        return self._records[-1]

    def judge(self, declared: DeclaredUnit | None) -> list[Finding]:
        """Return the findings of all rules."""
        by_rules = judge(
            self._records,
            self._cutoff,
            self._work,
            self._recorder.bonds,
            self._stress_fit,
            declared=declared,
        )
        collected = (self._jumps, self._branches, self._dipole_range)
        between = [each.finding() for each in collected]
        return [*by_rules, *(f for f in between if f is not None)]


def _notes(readings: Readings, findings: list[Finding | None]) -> tuple[str, ...]:
    """Return notes on how the labels are read; errors are added to the findings."""
    notes: list[str] = []
    used = list(readings.used())
    for reading in used:
        try:
            data = reading.data.model_copy(update={"missing": "allow"})
            added = reading.census.resolve(data, reading.where).notes
        except UserError as error:  # noqa: PERF203 - the other sources are still checked
            findings.append(_from_error(error, "keys", ""))
        else:
            notes += [f"{reading.where}: {note}" for note in added] if len(used) > 1 else added
    return tuple(notes)


def _paths(patterns: Sequence[str], findings: list[Finding | None]) -> Iterator[Path]:
    """Yield the files that exist; add a finding for a name without files."""
    for pattern in patterns:
        try:
            yield from find_files(pattern)
        except UserError as error:  # noqa: PERF203 - the other files are still checked
            findings.append(_from_error(error, "unreadable", path_text(pattern)))


def _labels(
    extract: Extractor, atoms: Atoms, origin: str, refused: dict[tuple[str, str], list[str]]
) -> dict[str, Any]:
    """Return the labels of a structure; if they cannot be read, none, and record the error."""
    try:
        return extract(atoms, origin)
    except UserError as error:
        refused[error.what, error.fix].append(error.where or origin)
        return {}


def _from_error(error: UserError, name: str, where: str) -> Finding:
    return Finding(name, "error", error.what, error.fix, examples=(error.where or where,))


def summarize(name: str, records: Sequence[Record]) -> FileSummary:
    """Summarize the records of a file."""
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
