"""Description of a run: the lines printed before epoch 0, and the header of its potential."""

from __future__ import annotations

import platform
import textwrap
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from reann.config import Config, ModelConfig
from reann.config.presets import describe_host, describe_preset
from reann.data.cache.sources import source_numbers
from reann.data.dataset import Dataset
from reann.data.statistics import ReferenceEnergies
from reann.error_measures import sentence
from reann.errors import counted
from reann.model import Reann
from reann.quantities import labels
from reann.training.setup import Parts
from reann.training.warm_start import PARENTS, RECORD

FEW_NEIGHBORS, MANY_NEIGHBORS = 6, 150
"""Range of the usual mean number of neighbors; outside it, a warning is printed."""
NEARLY_ALL = 0.8
"""Fraction of the other atoms of a molecule that are neighbors with any reasonable cutoff."""


def describe(config: Config, parts: Parts, model: Reann) -> list[str]:
    """Return the lines printed before epoch 0: data, labels, split, reference energies, model."""
    data, m = parts.train.dataset, config.model
    shown = {"train": parts.train, "valid": parts.valid, "test": parts.test}
    sizes = [f"{name} {len(part)}" for name, part in shown.items() if part is not None]
    messages, baseline = model.recursion.messages, sentence(parts.baseline)
    size = [
        f"cutoff {m.cutoff} Å",
        *describe_host(m),
        counted(m.n_recursions, "recursion")
        + (f", {messages} messages" if messages != "scalar" else ""),
        counted(sum(p.numel() for p in model.parameters()), "parameter"),
        f"{parts.mean_neighbors:.0f} neighbors/atom",
    ]
    counts = f"{counted(len(data), 'structure')} · {counted(int(data.n_atoms.sum()), 'atom')}"
    return [
        f"data      {counts} · {_elements(data)}",
        *_sources(data),
        f"labels    {_labels(data)} · force scale {parts.scale:.3f} eV/Å",
        "split     " + " · ".join(sizes),
        *(
            line
            for head, reference in zip(m.heads, parts.references, strict=True)
            for line in _reference(reference, head if len(m.heads) > 1 else "")
        ),
        *([f"baseline  {baseline} without a network (valid)"] if baseline else []),
        "model     " + " · ".join(size),
        f"preset    {describe_preset(m)}",
        *(f"note      {note}" for note in [*data.notes, *parts.notes]),
        *(
            f"note      {name}: {note}"
            for name, part in shown.items()
            if part is not None and part.dataset is not data
            for note in part.dataset.notes
        ),
        *(f"note      {note}" for note in notes_of_outputs(m, data)),
        *_neighbor_warning(data, parts.mean_neighbors),
    ]


def notes_of_outputs(config: ModelConfig, data: Dataset) -> list[str]:
    """Return notes about labels of outputs other than the energy."""
    notes = []
    if "dipole" in config.outputs and data.periodic:
        notes.append(
            "dipoles of periodic structures are defined only up to multiples of an electron charge"
            " times a lattice vector: all labels must be on the same branch of the polarization"
        )
    if "polarizability" in config.outputs and data.has("polarizability"):
        alpha = data.label("polarizability")
        known = np.isfinite(alpha).all((1, 2))
        negative = np.flatnonzero(known)[np.linalg.eigvalsh(alpha[known])[:, 0] < 0.0]
        if len(negative):
            notes.append(
                f"the polarizability of {counted(len(negative), 'structure')}, such as"
                f" {data.origin(negative[0])}, has a negative eigenvalue, which is impossible for a"
                " ground state: the sign may be wrong, or six numbers may not be in the order xx yy"
                " zz yz xz xy"
            )
    return notes


def paragraph(title: str, text: str) -> str:
    """Return a text after a title, wrapped for a terminal of 80 columns."""
    return textwrap.fill(
        text,
        width=79,
        initial_indent=f"{title:9} ",
        subsequent_indent=10 * " ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _elements(data: Dataset) -> str:
    numbers = data.composition().sum(0)
    shares = 100.0 * numbers / numbers.sum()
    symbols = (chemical_symbols[z] for z in data.elements)
    return " ".join(f"{symbol} {x:.0f} %" for symbol, x in zip(symbols, shares, strict=True))


def _sources(data: Dataset) -> list[str]:
    """Return a line for each of several sources."""
    if len(data.sources) == 1:
        return []
    numbers = source_numbers(data.sources, data.rows("origin", np.arange(len(data)))[:, 0])
    sizes = np.bincount(numbers, minlength=len(data.sources)).tolist()
    lines = []
    for n, source in zip(sizes, data.sources, strict=True):
        parts = [source.where, counted(n, "structure")]
        parts += [f"head {source.source.head}"] if source.source.head is not None else []
        parts += [f"weight {source.source.weight:g}"] if source.source.weight != 1.0 else []
        lines.append(f"source    {' · '.join(parts)}")
    return lines


def _labels(data: Dataset) -> str:
    """Return the number of structures with each label."""
    known = ((q, data.keys.counts.get(q.name, 0)) for q in labels())
    counts = ((q.name, count) for q, count in known if q.is_sought or count)
    return " · ".join(f"{name} {count or '–'}" for name, count in counts)


def _reference(reference: ReferenceEnergies, head: str) -> list[str]:
    energies = [f"{chemical_symbols[z]} {e:.3f}" for z, e in reference.values.items()]
    lines = [f"E0        {'  '.join(energies)} eV ({reference.source}{head and f', head {head}'})"]
    if reference.source == "fit" and reference.rank < reference.n_elements:
        lines.append(
            f"note      the compositions determine only {reference.rank} of {reference.n_elements} "
            "reference energies: dissociation into atoms is an extrapolation"
        )
    return lines


def _neighbor_warning(data: Dataset, neighbors: float) -> list[str]:
    # In small molecules, all other atoms may be neighbors.
    n_others = float(np.average(data.n_atoms - 1, weights=data.n_atoms))
    few = FEW_NEIGHBORS if data.periodic else min(FEW_NEIGHBORS, NEARLY_ALL * n_others)
    if few <= neighbors <= MANY_NEIGHBORS:
        return []
    better = "longer" if neighbors < FEW_NEIGHBORS else "shorter"
    return [f"warning   {neighbors:.0f} neighbors per atom is unusual: try a {better} model.cutoff"]


def provenance(config: Config) -> dict[str, str]:
    """Return versions and machine, for the report and the header of the potential."""
    names = ("reann", "torch", "numpy", "ase", "vesin")
    return {name: version(name) for name in names} | {
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {platform.system()}",
        "threads": str(torch.get_num_threads()),
        "data": str(config.data.train or config.data.files()),
    }


def metadata(
    config: Config, parts: Parts, source: str, best_epoch: int, valid: dict[str, float]
) -> dict[str, Any]:
    """Return the metadata of a potential: its training set, errors, settings and versions."""
    return {
        "reference_energies_source": source,
        "reference_energies_rank": parts.reference.rank,
        "n_train": len(parts.train.indices),
        RECORD: parts.record,
        **({PARENTS: parts.parents} if parts.parents else {}),
        "epoch": best_epoch,
        "errors": {"valid": valid, "baseline": parts.baseline},
        "settings": config.model_dump(mode="json"),
        "provenance": provenance(config),
    }
