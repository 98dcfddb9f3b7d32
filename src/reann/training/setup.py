"""From a configuration to everything a run starts from: data, statistics, model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from ase.data import chemical_symbols

from reann.config import Config
from reann.data.dataset import Dataset, Subset, open_dataset
from reann.data.loader import automatic_batch_size
from reann.data.split import load_split, split
from reann.data.statistics import (
    ReferenceEnergies,
    baseline_errors,
    force_scale,
    mean_neighbors,
    reference_energies,
)
from reann.errors import UserError
from reann.model import Reann, build
from reann.model.reann import in_precision
from reann.potential import Potential, load
from reann.training.distributed import World
from reann.training.standardize import set_standardization

EDGES_PER_THREAD = 10_000
"""Neighbor pairs of a step for each thread; fewer make a second thread no faster."""
SPLIT = "split.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Parts:
    """The data of a run, and what was found out about it."""

    train: Subset
    valid: Subset
    test: Subset | None
    reference: ReferenceEnergies
    baseline: dict[str, float]
    """Errors on `valid` without a network."""
    scale: float
    """s, eV/Å."""
    mean_neighbors: float

    def by_name(self) -> dict[str, Subset]:
        """Return the parts that there are."""
        every = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part for name, part in every.items() if part is not None}


def open_parts(config: Config, folder: Path, world: World, say: Say, *, as_split: bool) -> Parts:
    """Read the data, split it (as `split.json` says when a run goes on) and describe it."""
    cache = config.data.cache or folder.parent / ".reann-cache"

    def open_files(files: str | list[str]) -> Dataset:
        def build_cache() -> Dataset:
            return open_dataset(files, config.data, config.model.cutoff, cache, progress)

        # The leading process builds the cache, the others then find it.
        found = build_cache() if world.leads else None
        world.wait()
        return build_cache() if found is None else found

    def progress(done: int, note: str) -> None:
        if world.leads and done and done % 10_000 == 0:
            say(f"  {done} structures {note}")

    data = open_files(config.data.train)
    if as_split:
        parts = load_split(folder / SPLIT, data, open_files)
    else:
        parts = split(data, config.data, config.run.seed, open_files)
    train, valid = parts["train"], parts["valid"]
    reference = reference_energies(train, config.data.reference_energies)
    return Parts(
        train=train,
        valid=valid,
        test=parts.get("test"),
        reference=reference,
        baseline=baseline_errors(valid, reference),
        scale=force_scale(train),
        mean_neighbors=mean_neighbors(train),
    )


def start_model(config: Config, parts: Parts, warm_start: Path | None) -> tuple[Reann, str]:
    """Return the model that training starts from, and where its reference energies come from.

    The model is new, or that of a `.reann` file.
    """
    if warm_start is not None:
        return _continued(config, parts, warm_start)
    model = build(
        config.model,
        parts.train.dataset.elements,
        parts.mean_neighbors,
        seed=config.run.seed,
        dtype=_dtype(config),
    )
    with torch.no_grad():
        model.energy_scale.fill_(parts.scale)
        for row, z in enumerate(model.elements):
            model.reference_energies[row] = parts.reference.values.get(z, 0.0)
    set_standardization(model, parts.train, config.run.seed)
    # Pinning the limit of free atoms to a mean would be wrong; isolated atoms are known.
    model.reference_energies.requires_grad_(parts.reference.source == "fit")
    return model, parts.reference.source


def with_model_of(config: Config, path: Path) -> Config:
    """Return the configuration with the model's settings of the file that training starts from.

    Raises
    ------
    UserError
        If the file holds an ensemble, or the configuration asks for another cutoff.
    """
    potential = _single(path)
    cutoff, asked = potential.cutoff, config.model.cutoff
    if "cutoff" in config.model.model_fields_set and cutoff != asked:
        raise UserError(
            f"The potential has a cutoff of {cutoff} Å, the configuration asks for {asked} Å.",
            str(path),
            "Leave out model.cutoff: the settings of the model come from the file.",
        )
    return config.model_copy(update={"model": potential.model.config})


def _continued(config: Config, parts: Parts, path: Path) -> tuple[Reann, str]:
    potential = _single(path)
    model, source = potential.model, parts.reference.source
    missing = [z for z in parts.train.dataset.elements if z not in model.elements]
    if missing:
        raise UserError(
            f"The potential does not know {', '.join(chemical_symbols[z] for z in missing)}.",
            str(path),
            "Train a new potential on all the data.",
        )
    # Energies of free atoms that are known now replace those of the file; fitted ones do not.
    if source in ("isolated", "given"):
        with torch.no_grad():
            for row, z in enumerate(model.elements):
                if z in parts.reference.values:
                    model.reference_energies[row] = parts.reference.values[z]
    else:
        source = str(potential.metadata.get("reference_energies_source", "given"))
    model.reference_energies.requires_grad_(source == "fit")
    return in_precision(model, _dtype(config)), source


def _single(path: Path) -> Potential:
    potential = load(path)
    if not isinstance(potential, Potential):
        raise UserError("An ensemble cannot be trained further.", str(path), "Give one potential.")
    return potential


def _dtype(config: Config) -> torch.dtype:
    return torch.float64 if config.training.precision == "float64" else torch.float32


def useful_threads(config: Config, parts: Parts) -> int:
    """Return how many of the cores the neighbor pairs of a step keep busy.

    More than that only wait for each other, for long when the machine has other work.
    """
    edges = parts.train.dataset.n_edges[parts.train.indices].mean()
    busy = int(batch_size(config, parts.train) * edges / EDGES_PER_THREAD)
    return min(max(busy, 1), torch.get_num_threads())


def batch_size(config: Config, train: Subset) -> int:
    """Return the configured batch size, or one for about 256 atoms."""
    if config.training.batch_size != "auto":
        return config.training.batch_size
    return automatic_batch_size(float(train.dataset.n_atoms[train.indices].mean()))
