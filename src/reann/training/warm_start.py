"""Warm starts: what a run takes from the potential that it starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann.config import Config, Section
from reann.data import fingerprint
from reann.data.dataset import Subset
from reann.data.split import NONE_LEARNED
from reann.data.statistics import ReferenceEnergies
from reann.errors import UserError, listed
from reann.model import Reann
from reann.potential import Potential, load
from reann.training.grow import most_similar, with_elements, with_heads

PARENTS = "parents"
"""Entry of the metadata: the potentials that training started from, the first one first."""
RECORD = "training_structures"
"""Entry of a potential's metadata: fingerprints of the structures that it was trained on."""


def single(path: Path) -> Potential:
    """Return the potential of a file; `UserError` if it holds an ensemble."""
    potential = load(path)
    if not isinstance(potential, Potential):
        raise UserError("An ensemble cannot be trained further.", str(path), "Give one potential.")
    return potential


def with_model_of(config: Config, path: Path) -> Config:
    """Return the configuration with the model's settings of the file that training starts from.

    Raises
    ------
    UserError
        If the file holds an ensemble, or the configuration sets a field of the model, directly or
        by a preset, to another value.
    """
    potential = single(path)
    different = [
        text
        for text in _differences(config.model, potential.model.config, "model")
        if not text.startswith("model.heads ")
    ]
    if different:
        raise UserError(
            f"The potential was made with {listed(different)}.",
            str(path),
            "Leave these fields out, as the settings of the model come from the file; or train a"
            " new potential without --from.",
        )
    model = potential.model.config
    if "heads" in config.model.model_fields_set and model.heads:
        model = model.model_copy(update={"heads": config.model.heads})
    return config.model_copy(update={"model": model})


def _differences(asked: Section, has: Section, above: str) -> Iterator[str]:
    """Yield the fields that are set in one section and have another value in the other."""
    for name in type(asked).model_fields:
        wanted, value = getattr(asked, name), getattr(has, name)
        path = f"{above}.{name}"
        if name not in asked.model_fields_set:
            continue
        if isinstance(wanted, Section) and isinstance(value, Section):
            yield from _differences(wanted, value, path)
        elif wanted != value:
            yield f"{path} {_shown(value)} (not {_shown(wanted)})"


def _shown(value: Any) -> str:
    return "null" if value is None else "set" if isinstance(value, Section) else str(value)


def growth_notes(potential: Potential, heads: Sequence[str], elements: Sequence[int]) -> list[str]:
    """Return what is added to a potential, and what is left out."""
    model, notes = potential.model, []
    for z in elements:
        if z not in model.elements:
            source = chemical_symbols[most_similar(z, model.elements)]
            notes.append(
                f"the element {chemical_symbols[z]} is new and starts as a copy of {source}"
            )
    first = next(iter(model.heads), None)
    notes += [
        f"the head '{name}' is new and starts as a copy of '{first}'"
        for name in heads
        if name not in model.heads
    ]
    left_out = [name for name in model.heads if name not in heads]
    if left_out:
        notes.append(f"the new potential does not have the head {listed(left_out)} of the old one")
    return notes


def reference_of(
    potential: Potential, head: str, reference: ReferenceEnergies, setting: object, path: Path
) -> ReferenceEnergies:
    """Return the reference energies that a head starts with.

    Energies of free atoms that are given, or are in the data, replace those of the file. Energies
    that were fitted to the data do not, except for new elements; a head that is new has those of
    the data.

    Parameters
    ----------
    reference
        Of the data.
    setting
        `data.reference_energies`.

    Raises
    ------
    UserError
        If a fit is asked for, and the energies of the file are those of free atoms.
    """
    model, about = potential.model, potential.metadata
    if head not in model.heads:
        return reference
    head_of = dict(zip(model.heads, model.heads.every(), strict=True))
    energies = head_of[head].reference_energies.tolist()
    values = dict(zip(model.elements, energies, strict=True))
    if reference.source in ("isolated", "given"):
        values |= reference.values
        n_elements = len(values)
        return ReferenceEnergies(values, reference.source, n_elements, n_elements)
    source = about.get("reference_energies_source", "given")
    if setting == "fit" and source != "fit":
        raise UserError(
            f"The reference energies of the potential are fixed (source: {source}), so a fit would"
            " have no effect.",
            f"data.reference_energies: fit; {path}",
            "Leave data.reference_energies out, or give an energy for each element.",
        )
    new = [chemical_symbols[z] for z in reference.values if z not in values]
    if new and source != "fit":
        raise UserError(
            f"The reference energies of the potential are fixed (source: {source}), and there is"
            f" none for {listed(new)}.",
            f"data.reference_energies; {path}",
            "Give the energies of the free atoms of all elements.",
        )
    values = reference.values | values
    n_elements = len(values)
    rank = about.get("reference_energies_rank")
    rank = rank if isinstance(rank, int) else n_elements
    return ReferenceEnergies(values, source, rank, n_elements)


def start_of(
    potential: Potential,
    elements: Sequence[int],
    heads: Sequence[str],
    references: Sequence[ReferenceEnergies],
) -> Reann:
    """Return the model of the potential, with all these elements and heads, to be trained.

    Reference energies are fixed unless they were fitted.
    """
    model = with_heads(with_elements(potential.model, elements), heads)
    for head, reference in zip(model.heads.every(), references, strict=True):
        with torch.no_grad():
            for z, energy in reference.values.items():
                head.reference_energies[model.elements.index(z)] = energy
        head.reference_energies.requires_grad_(reference.source == "fit")
    return model


# --- training structures ----------------------------------------------------------------------


@dataclass(frozen=True)
class Learned:
    """The structures that a potential was trained on, as far as its file records them."""

    fingerprints: NDArray[np.uint64]
    """Shortened, with those that find rounded structures (`Subset.recorded`)."""
    complete: bool
    """Whether these are all, those of the potential that its training started from included."""
    rounded: bool
    """Whether structures are found that were rounded since."""


NOTHING = Learned(NONE_LEARNED, complete=True, rounded=True)
"""What a new potential has learned before its training."""


def lineage(path: Path) -> list[dict[str, Any]]:
    """Return what is recorded of a potential that training starts from, after its own parents."""
    metadata = single(path).metadata
    run = metadata.get("settings", {}).get("run", {}).get("folder")
    parent = {
        "run": run,
        "structures": metadata.get("n_train"),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest()[:16],
    }
    earlier = metadata.get(PARENTS)
    return [*(earlier if isinstance(earlier, list) else []), parent]


def learned_by(potential: Potential) -> Learned:
    """Return what the file of a potential records; nothing where it is older than the record."""
    record = potential.metadata.get(RECORD)
    if isinstance(record, dict) and record.get("version") == fingerprint.VERSION:
        try:
            found = fingerprint.decoded(str(record.get("fingerprints")))
        except ValueError:
            return Learned(NONE_LEARNED, complete=False, rounded=False)
        return Learned(found, record.get("complete") is True, record.get("rounded") is True)
    return Learned(NONE_LEARNED, complete=False, rounded=False)


def record_of(train: Subset, before: Learned) -> dict[str, Any]:
    """Return the record of training structures and of those that were learned before."""
    every = np.concatenate([train.recorded(), before.fingerprints])
    return {
        "version": fingerprint.VERSION,
        "complete": before.complete,
        "rounded": before.rounded,
        "fingerprints": fingerprint.encoded(every),
    }


def warm_start_notes(learned: Learned, n_seeds: int) -> list[str]:
    """Return what the user should know about a run that starts from a potential."""
    notes = []
    if not learned.complete:
        notes.append(
            "the potential does not record all its training structures: the validation set may"
            " have some of them"
        )
    elif not learned.rounded:
        notes.append(
            "the potential is of an earlier version: training structures that were written with"
            " fewer digits since are not recognized, and the validation set may have some of them"
        )
    if n_seeds > 1:
        notes.append(
            "all members of the ensemble start from the same weights: their spread underestimates"
            " the uncertainty"
        )
    return notes
