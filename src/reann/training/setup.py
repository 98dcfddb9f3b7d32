"""From a configuration to everything a run starts from: data, statistics, model."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from reann.config import Config
from reann.data.dataset import Dataset, Subset, open_dataset
from reann.data.loader import automatic_batch_size
from reann.data.split import load_split, save_split, split
from reann.data.statistics import (
    ReferenceEnergies,
    baseline_errors,
    force_scale,
    mean_neighbors,
    reference_energies,
)
from reann.errors import UserError
from reann.model import Reann, build
from reann.potential import Potential, load
from reann.training.distributed import World
from reann.training.standardize import set_standardization

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


def device_named(name: str) -> torch.device:
    """Return the device; `auto` takes a GPU when there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"'{name}' is not a device.", "run.device", "auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no usable GPU.", "run.device", "Set run.device=cpu or auto.")
    return device


def open_parts(config: Config, folder: Path, world: World, say: Say) -> Parts:
    """Read the data, split it (as `split.json` says when a run is continued) and describe it."""
    cache = config.data.cache or folder.parent / ".reann-cache"

    def open_files(files: str | list[str]) -> Dataset:
        def build_cache() -> Dataset:
            return open_dataset(files, config.data, config.model.cutoff, cache, progress)

        # The leading process builds the cache, the others then find it.
        found = build_cache() if world.leads else None
        world.wait()
        return found or build_cache()

    def progress(done: int, note: str) -> None:
        if world.leads and done and done % 10_000 == 0:
            say(f"  {done} structures {note}")

    data = open_files(config.data.train)
    record = folder / "split.json"
    if record.exists():
        parts = load_split(record, data, open_files)
    else:
        parts = split(data, config.data, config.run.seed, open_files)
        if world.leads:
            save_split(record, parts, config.run.seed)
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


def describe(config: Config, parts: Parts, model: Reann) -> list[str]:
    """Return the lines printed before epoch 0: data, labels, split, energies, model."""
    data = parts.train.dataset
    numbers = data.composition().sum(0)
    share = " ".join(
        f"{chemical_symbols[z]} {100 * n / numbers.sum():.0f} %"
        for z, n in zip(data.elements, numbers, strict=True)
    )
    labels = " · ".join(
        f"{name} {np.isfinite(data.label(name)).reshape(len(data.label(name)), -1).all(1).sum()}"
        if data.has(name)
        else f"{name} –"
        for name in ("energy", "forces", "stress")
    )
    sizes = " · ".join(
        f"{name} {len(part.indices)}"
        for name, part in (("train", parts.train), ("valid", parts.valid), ("test", parts.test))
        if part is not None
    )
    reference = parts.reference
    energies = "  ".join(f"{chemical_symbols[z]} {e:.3f}" for z, e in reference.values.items())
    rank = (
        f", rank {reference.rank} of {reference.n_elements}: dissociation into atoms is an extrapolation"
        if reference.source == "fit" and reference.rank < reference.n_elements
        else ""
    )
    m, n_parameters = config.model, sum(p.numel() for p in model.parameters())
    return [
        f"data      {len(data)} structures · {int(data.n_atoms.sum())} atoms · {share}",
        f"labels    {labels}   (structures; atoms for forces; eV, Å; force scale {parts.scale:.3f} eV/Å)",
        f"split     {sizes}",
        f"E0 ({reference.source}{rank})  {energies} eV",
        "baseline  " + _errors(parts.baseline) + "   without a network, on valid",
        f"model     cutoff {m.cutoff} Å · l ≤ {m.l_max} · {m.n_radial} radial · "
        f"{m.n_recursions} recursions · {n_parameters} parameters · "
        f"{parts.mean_neighbors:.0f} neighbors/atom",
        *(f"note      {note}" for note in data.notes),
        *_neighbor_warning(parts.mean_neighbors),
    ]


def _neighbor_warning(neighbors: float) -> list[str]:
    if 6 <= neighbors <= 150:
        return []
    few = "longer" if neighbors < 6 else "shorter"
    return [f"note      {neighbors:.0f} neighbors per atom is unusual: try a {few} model.cutoff"]


def _errors(errors: dict[str, float]) -> str:
    units = {"energy": "meV/atom", "forces": "meV/Å", "stress": "meV/Å³"}
    return " · ".join(
        f"{name.split('_')[0]} {value:.1f} {units[name.split('_')[0]]}"
        for name, value in errors.items()
        if "_rmse_" in name
    )


def start_model(config: Config, parts: Parts, warm_start: Path | None) -> Reann:
    """Return the model that training starts from: new, or the weights of a `.reann` file."""
    dtype = torch.float64 if config.training.precision == "float64" else torch.float32
    if warm_start is not None:
        return _continued(config, parts, warm_start)
    model = build(
        config.model,
        parts.train.dataset.elements,
        parts.mean_neighbors,
        seed=config.run.seed,
        dtype=dtype,
    )
    with torch.no_grad():
        model.energy_scale.fill_(parts.scale)
        for row, z in enumerate(model.elements):
            model.reference_energies[row] = parts.reference.values.get(z, 0.0)
    # Pinning the limit of free atoms to a mean would be wrong; isolated atoms are known.
    model.reference_energies.requires_grad_(parts.reference.source == "fit")
    set_standardization(model, parts.train, config.run.seed)
    return model


def _continued(config: Config, parts: Parts, path: Path) -> Reann:
    potential = load(path)
    if not isinstance(potential, Potential):
        raise UserError("An ensemble cannot be trained further.", str(path), "Give one potential.")
    missing = [z for z in parts.train.dataset.elements if z not in potential.model.elements]
    if missing:
        raise UserError(
            f"The potential does not know {', '.join(chemical_symbols[z] for z in missing)}.",
            str(path),
            "Train a new potential on all the data.",
        )
    if potential.cutoff != config.model.cutoff:
        raise UserError(
            f"The potential has a cutoff of {potential.cutoff} Å, the configuration asks for "
            f"{config.model.cutoff} Å.",
            str(path),
            f"Set model.cutoff={potential.cutoff}; the other settings come from the file.",
        )
    fitted = potential.metadata.get("reference_energies_source") == "fit"
    potential.model.reference_energies.requires_grad_(fitted)
    return potential.model


def batch_size(config: Config, train: Subset) -> int:
    """Return the configured batch size, or one for about 256 atoms."""
    if config.training.batch_size != "auto":
        return config.training.batch_size
    return automatic_batch_size(float(train.dataset.n_atoms[train.indices].mean()))


def provenance(config: Config) -> dict[str, str]:
    """Return versions and machine, for the report and the header of the potential."""
    names = ("reann", "torch", "numpy", "ase", "vesin")
    return {name: version(name) for name in names} | {
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {platform.system()}",
        "threads": str(torch.get_num_threads()),
        "data": str(config.data.train),
    }


def metadata(config: Config, parts: Parts, best_epoch: int, valid: dict[str, float]) -> dict[str, Any]:
    """Return what the header of a potential tells about its history."""
    reference = parts.reference
    return {
        "reference_energies_source": reference.source,
        "reference_energies_rank": reference.rank,
        "n_train": len(parts.train.indices),
        "epoch": best_epoch,
        "errors": {"valid": valid, "baseline": parts.baseline},
        "settings": config.model_dump(mode="json"),
        "provenance": provenance(config),
    }
