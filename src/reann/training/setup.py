"""Setup of a run from a configuration: data, statistics, model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reann.config import Config, Source
from reann.data.cache.sources import Opening
from reann.data.dataset import Dataset, Subset, open_sources
from reann.data.loader import automatic_batch_size
from reann.data.split import OpenFiles, known_structures, load_split, split
from reann.data.statistics import (
    NO_ENERGIES,
    ReferenceEnergies,
    baseline_errors,
    force_scale,
    mean_neighbors,
)
from reann.errors import UserError
from reann.model import Reann, build
from reann.model.reann import in_precision
from reann.training.calibration import set_field_scale
from reann.training.contacts import set_repulsion
from reann.training.dispersion_start import start_dispersion
from reann.training.distributed import World
from reann.training.input_start import set_input_energies
from reann.training.label_scales import label_scales
from reann.training.loss import Loss
from reann.training.offsets import shift_references
from reann.training.optim import freeze_body
from reann.training.output_start import set_output_heads
from reann.training.references import fitted, reference_settings, references
from reann.training.standardize import set_standardization
from reann.training.validation import of_judged_labels
from reann.training.warm_start import (
    NOTHING,
    freeze_outputs,
    growth_notes,
    learned_by,
    lineage,
    notes_of_absent,
    record_of,
    reference_of,
    single,
    start_of,
    trained_outputs,
    warm_start_notes,
)

EDGES_PER_THREAD = 10_000
"""Neighbor pairs of a step per thread; with fewer, another thread gives no speedup."""
SPLIT = "split.json"
ReportLine = Callable[[str], None]


@dataclass(frozen=True)
class Parts:
    """The data of a run and their statistics."""

    train: Subset
    valid: Subset
    test: Subset | None
    references: tuple[ReferenceEnergies, ...]
    """Reference energies of each head."""
    baseline: dict[str, float]
    """Errors on `valid` without a network, with fitted reference energies."""
    scale: float
    """s, eV/Å."""
    mean_neighbors: float
    parents: list[dict[str, Any]]
    """The potentials that the training started from."""
    record: dict[str, Any]
    """Fingerprints of the training structures, for the file of the potential."""
    notes: list[str]
    """Messages for the user."""
    outputs: list[str]
    """Outputs of the model that are trained on their labels."""

    @property
    def reference(self) -> ReferenceEnergies:
        """Reference energies of the first head."""
        return self.references[0] if self.references else NO_ENERGIES

    def by_name(self) -> dict[str, Subset]:
        """Return the existing parts by name."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def datasets(self) -> list[Dataset]:
        """Return the distinct data sets of the parts."""
        unique: dict[tuple[str, ...], Dataset] = {}
        for part in self.by_name().values():
            unique.setdefault(tuple(digest for _, digest in part.dataset.files), part.dataset)
        return list(unique.values())


def open_parts(
    config: Config,
    folder: Path,
    world: World,
    report_line: ReportLine,
    *,
    as_split: bool,
    warm_start: Path | None = None,
) -> Parts:
    """Read the data, split them (for a resumed run according to `split.json`), compute statistics.

    The training structures of the potential of `warm_start` are not drawn for other parts.
    """
    parent = single(warm_start) if warm_start else None
    cache = config.data.cache or folder.parent / ".reann-cache"

    def open_files(files: list[str]) -> Dataset:
        return opened([config.data.source_of(files)])

    def opened(sources: list[Source]) -> Dataset:
        opening = Opening(sources, config.data, config.model.cutoff, cache)

        def build_cache() -> Dataset:
            data = open_sources(opening, progress)
            data.assign_heads(config.model.heads)
            return data

        # The leading process builds the cache, which the others then read.
        built = build_cache() if world.leads else None
        world.wait()
        return build_cache() if built is None else built

    def progress(done: int, note: str) -> None:
        if world.leads and done and done % 10_000 == 0:
            report_line(f"  {done} structures {note}")

    data = opened(config.data.all_sources())
    learned = learned_by(parent) if parent else NOTHING
    if as_split:
        parts = _as_split(folder / SPLIT, data, config, open_files)
    else:
        parts = split(data, config.data, config.run.seed, open_files, learned.fingerprints)
    train, valid = parts["train"], parts["valid"]
    notes = known_structures(parts, learned.fingerprints) + _without_validation(config, valid)
    outputs = trained_outputs(config.model, train, warm_start=parent is not None)
    of_heads = references(config, train)
    if parent and warm_start:
        settings = reference_settings(config)
        of_heads = [
            reference_of(parent, name, reference, setting, warm_start)
            for name, reference, setting in zip(config.model.heads, of_heads, settings, strict=True)
        ]
        notes += growth_notes(parent, config.model.heads, data.elements)
        notes += warm_start_notes(learned, config.run.seeds)
        notes += notes_of_absent(config.model, train, outputs)
    return Parts(
        train=train,
        valid=valid,
        test=parts.get("test"),
        references=tuple(of_heads),
        baseline=baseline_errors(valid, *fitted(train, of_heads)),
        scale=force_scale(train),
        mean_neighbors=mean_neighbors(train),
        parents=lineage(warm_start) if warm_start else [],
        record=record_of(train, learned),
        notes=notes,
        outputs=outputs,
    )


def _as_split(
    path: Path, data: Dataset, config: Config, open_files: OpenFiles
) -> dict[str, Subset]:
    """Return the parts of a resumed run."""
    parts = load_split(path, data, config.data, open_files)
    if not {"train", "valid"} <= parts.keys():
        raise UserError(
            "The split has no training set or no validation set.",
            str(path),
            "Restore the file, or start a new run.",
        )
    return parts


def _without_validation(config: Config, valid: Subset) -> list[str]:
    """Return a note about heads without validation structures."""
    heads = [name for i, name in enumerate(config.model.heads) if not len(valid.of_head(i))]
    note = (
        f"the validation set has no structures of the head {', '.join(heads)}, so it does not"
        " affect the choice of the best weights"
    )
    return [note] if heads else []


def require_labels(
    config: Config, parts: Parts, counts: Mapping[str, Mapping[str, np.ndarray]]
) -> None:
    """Raise `UserError` unless `train` and `valid` have labels with a weight in the loss.

    `counts` are the numbers of finite label values per structure in the data sets of both parts.
    """
    loss = Loss(config.training.loss, 1.0, label_scales(parts.train, parts.outputs))
    totals = {
        name: {label: float(n[part.indices].sum()) for label, n in counts[name].items()}
        for name, part in (("train", parts.train), ("valid", parts.valid))
    }
    for name, of_part in totals.items():
        if not loss.labels_used(of_judged_labels(of_part, totals["train"])):
            raise UserError(
                f"No structure of {name} has a label with a weight in the loss.",
                f"data.{name}",
                "Use other structures, or give the existing labels a weight.",
            )


def start_model(config: Config, parts: Parts, warm_start: Path | None) -> tuple[Reann, str]:
    """Return the initial model and the source of its reference energies.

    The model is new, or that of a `.reann` file.
    """
    if warm_start is not None:
        elements = parts.train.dataset.elements
        model = start_of(single(warm_start), elements, config.model.heads, parts.references)
        set_repulsion(model, parts.train, before=True)
        shift_references(model, parts.train, config.run.seed)
        freeze_body(model, config.training)
        freeze_outputs(model, parts.outputs)
        return in_precision(model, _dtype(config)), parts.reference.source
    model = build(
        config.model,
        parts.train.dataset.elements,
        parts.mean_neighbors,
        seed=config.run.seed,
        dtype=_dtype(config),
    )
    with torch.no_grad():
        for head, reference in zip(model.heads.as_list(), parts.references, strict=True):
            head.energy_scale.fill_(parts.scale)
            for row, z in enumerate(model.elements):
                head.reference_energies[row] = reference.values.get(z, 0.0)
    set_input_energies(model, parts.train, parts.references)
    start_dispersion(model, parts.train, parts.references, config.run.seed)
    set_repulsion(model, parts.train)
    set_field_scale(model)
    set_standardization(model, parts.train, config.run.seed)
    set_output_heads(model, parts.train, config.run.seed)
    for head, reference in zip(model.heads.as_list(), parts.references, strict=True):
        # Fitted energies are trained further; those of isolated atoms are exact and stay fixed.
        head.reference_energies.requires_grad_(reference.source == "fit")
    return model, parts.reference.source


def _dtype(config: Config) -> torch.dtype:
    return torch.float64 if config.training.precision == "float64" else torch.float32


def useful_threads(config: Config, parts: Parts) -> int:
    """Return the number of cores that the neighbor pairs of a step keep busy.

    Further threads would only wait for each other, especially on a busy machine.
    """
    edges = parts.train.dataset.n_edges[parts.train.indices].mean()
    busy = int(batch_size(config, parts.train) * edges / EDGES_PER_THREAD)
    return min(max(busy, 1), torch.get_num_threads())


def batch_size(config: Config, train: Subset) -> int:
    """Return the configured batch size, or one for about 256 atoms."""
    if config.training.batch_size != "auto":
        return config.training.batch_size
    return automatic_batch_size(float(train.dataset.n_atoms[train.indices].mean()))
