"""Warm starts (fine-tuning): start a run from an existing potential."""

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

from reann.config import Config, DataConfig, ModelConfig, Section, keys_of_model
from reann.data import fingerprint
from reann.data.dataset import Subset
from reann.data.split import NONE_LEARNED
from reann.data.statistics import ReferenceEnergies
from reann.errors import UserError, listed
from reann.model import Reann
from reann.potential import Potential, load
from reann.quantities import SOUGHT, named
from reann.training.grow import most_similar, with_elements, with_heads
from reann.training.label_scales import has_labels

PARENTS = "parents"
"""Entry of the metadata: the potentials that training started from, the first one first."""
RECORD = "training_structures"
"""Entry of a potential's metadata: fingerprints of the structures that it was trained on."""


def single(path: Path) -> Potential:
    """Return the potential in a file; raises `UserError` if it is an ensemble."""
    potential = load(path)
    if not isinstance(potential, Potential):
        fix = "Use a single potential."
        raise UserError("An ensemble cannot be trained further.", str(path), fix)
    return potential


def with_model_of(config: Config, path: Path) -> Config:
    """Return the configuration with the model settings of the file that the training starts from.

    Inputs and outputs of this model are read from the data; labels of outputs may be absent.

    Raises
    ------
    UserError
        If the file is an ensemble, or the configuration sets a field of the model, directly or by
        a preset, to another value.
    """
    potential = single(path)
    different = [
        text
        for text in _differences(config.model, potential.model.config, "model")
        if not text.startswith("model.heads ")
    ]
    if different:
        raise UserError(
            f"The potential has other model settings: {listed(different)}.",
            str(path),
            "Remove these fields, as the model settings are taken from the file, or train a new"
            " potential without --from.",
        )
    model = potential.model.config
    if "heads" in config.model.model_fields_set and model.heads:
        model = model.model_copy(update={"heads": config.model.heads})
    return config.model_copy(update={"model": model, "data": _with_keys_of(model, config.data)})


def _with_keys_of(model: ModelConfig, data: DataConfig) -> DataConfig:
    """Return the settings of the data with the keys that a model needs, unless they are set."""
    defaults = keys_of_model(model)
    keys = {
        name: SOUGHT if key == name else key
        for name, key in defaults.items()
        if name not in data.keys.model_fields_set or data.keys.of(name) == name == key
    }
    return data.model_copy(update={"keys": data.keys.model_copy(update=keys)})


def trained_outputs(model: ModelConfig, train: Subset, *, warm_start: bool) -> list[str]:
    """Return the outputs that are trained: those with labels, or all of a new model."""
    return [name for name in model.outputs if not warm_start or has_labels(train, name)]


def freeze_outputs(model: Reann, trained: Sequence[str]) -> None:
    """Leave the heads as they are that neither the trained outputs nor the energy need."""
    needed = model.config.model_copy(update={"outputs": list(trained)}).from_heads
    for name, head in model.output_heads.items():
        if name not in needed:
            head.requires_grad_(False)


def notes_of_absent(model: ModelConfig, train: Subset, trained: Sequence[str]) -> list[str]:
    """Return notes about the inputs that no structure states, and the outputs without labels."""
    notes = [
        f"no structure of the training set states its {name}: all have the default"
        f" {named(name).default:g}"
        for name in model.inputs
        if not train.dataset.has(name)
    ]
    return notes + [
        f"no structure of the training set has the label '{name}': it is not trained on, and the"
        f" predicted {name} may become less accurate as the rest of the model changes"
        for name in model.outputs
        if name not in trained
    ]


def _differences(requested: Section, existing: Section, above: str) -> Iterator[str]:
    """Yield the fields that are set in the requested section but differ in the existing one."""
    for name in type(requested).model_fields:
        new, value = getattr(requested, name), getattr(existing, name)
        path = f"{above}.{name}"
        if name not in requested.model_fields_set:
            continue
        if isinstance(new, Section) and isinstance(value, Section):
            yield from _differences(new, value, path)
        elif new != value:
            yield f"{path} {_shown(value)} (not {_shown(new)})"


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
        If the setting is `fit` but the energies in the file are those of free atoms.
    """
    model, about = potential.model, potential.metadata
    if head not in model.heads:
        return reference
    head_of = dict(zip(model.heads, model.heads.as_list(), strict=True))
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
            "Remove data.reference_energies, or set an energy for each element.",
        )
    new = [chemical_symbols[z] for z in reference.values if z not in values]
    if new and source != "fit":
        raise UserError(
            f"The reference energies of the potential are fixed (source: {source}), and there is"
            f" none for {listed(new)}.",
            f"data.reference_energies; {path}",
            "Set the energies of the free atoms of all elements.",
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
    for head, reference in zip(model.heads.as_list(), references, strict=True):
        with torch.no_grad():
            for z, energy in reference.values.items():
                head.reference_energies[model.elements.index(z)] = energy
        head.reference_energies.requires_grad_(reference.source == "fit")
    return model


# --- training structures ----------------------------------------------------------------------


@dataclass(frozen=True)
class Learned:
    """The training structures of a potential, as recorded in its file."""

    fingerprints: NDArray[np.uint64]
    """Shortened fingerprints, including those for rounded structures (`Subset.recorded`)."""
    complete: bool
    """Whether all training structures are recorded, including those of its parents."""
    rounded: bool
    """Whether structures are recognized after rounding of their coordinates."""


NOTHING = Learned(NONE_LEARNED, complete=True, rounded=True)
"""Training structures of a new potential: none."""


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
    """Return the training structures recorded by a potential; none for files without a record."""
    record = potential.metadata.get(RECORD)
    if isinstance(record, dict) and record.get("version") == fingerprint.VERSION:
        try:
            fingerprints = fingerprint.decoded(str(record.get("fingerprints")))
        except ValueError:
            return Learned(NONE_LEARNED, complete=False, rounded=False)
        return Learned(fingerprints, record.get("complete") is True, record.get("rounded") is True)
    return Learned(NONE_LEARNED, complete=False, rounded=False)


def record_of(train: Subset, before: Learned) -> dict[str, Any]:
    """Return the record of the training structures, including those of an earlier training."""
    fingerprints = np.concatenate([train.recorded(), before.fingerprints])
    return {
        "version": fingerprint.VERSION,
        "complete": before.complete,
        "rounded": before.rounded,
        "fingerprints": fingerprint.encoded(fingerprints),
    }


def warm_start_notes(learned: Learned, n_seeds: int) -> list[str]:
    """Return notes about a run that starts from a potential."""
    notes = []
    if not learned.complete:
        notes.append(
            "the potential does not record all its training structures, so the validation set may"
            " contain some of them"
        )
    elif not learned.rounded:
        notes.append(
            "the potential was made by an earlier version: training structures that have been"
            " rounded since are not recognized, and the validation set may contain some of them"
        )
    if n_seeds > 1:
        notes.append(
            "all members of the ensemble start from the same weights, so their disagreement"
            " underestimates the uncertainty"
        )
    return notes
