"""The training of a single potential: that of a run, or a member of an ensemble."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reann.backends import choice
from reann.backends.protocol import Request
from reann.config import Config
from reann.data.loader import Loader
from reann.errors import counted
from reann.model import Reann
from reann.model.dispersion import compared_with_labels
from reann.model.long_range import LatentCharges
from reann.potential import Potential, load
from reann.prediction import labels_of
from reann.training.contacts import keep_repulsive
from reann.training.describe import describe, metadata
from reann.training.distributed import World
from reann.training.extend import changes_of_schedule
from reann.training.folder import LOG, MODEL, folder_of, remove_leftovers
from reann.training.identity import compare, identity
from reann.training.journal import Journal, read_log
from reann.training.label_scales import label_scales
from reann.training.loop import Trainer
from reann.training.loss import Loss
from reann.training.memory import edges_at_once
from reann.training.optim import Average, optimizer_for
from reann.training.readout import fit_last_layer
from reann.training.setup import Parts, batch_size
from reann.training.standardize import record_ranges
from reann.training.state import FILE, Progress, TrainingState, is_over
from reann.training.trackers import tracker
from reann.training.verdict import advice, nothing_learned

VALID_BATCH, VALID_EDGES = 32, 100_000
"""Maximum number of structures and neighbor pairs in a validation batch."""


def request_of(model: Reann) -> Request:
    """Return a request with all properties that a training step may need."""
    not_requested = set(model.responses).difference(model.config.outputs)
    return Request.of(set(labels_of(model)) - not_requested, create_graph=True)


@dataclass(frozen=True)
class Common:
    """Data and settings shared by all members of a run."""

    parts: Parts
    counts: dict[str, dict[str, np.ndarray]]
    """Number of finite label values per structure, in the data sets of `train` and `valid`."""
    processes: World
    device: torch.device
    warm_start: bool
    """Whether the initial weights come from another potential."""
    after_save: Callable[[], None]
    """Called by the leading process after each checkpoint."""


@dataclass(frozen=True)
class Start:
    """Initial model of a member."""

    model: Reann
    energies: str
    """Source of its reference energies."""


@dataclass(frozen=True)
class Member:
    """A trained potential."""

    potential: Potential
    epoch: int
    """Epoch of its weights."""
    warning: str | None
    """Warning that nothing was learned, or None."""


def train_member(config: Config, common: Common, start: Start) -> Member:
    """Train or resume training a potential and return its best state."""
    folder, processes, model = folder_of(config), common.processes, start.model
    if processes.leads:
        remove_leftovers(folder)
    processes.share(model.state_dict().values())
    watcher = tracker(config.run.tracker, folder) if processes.leads else None
    journal = Journal(folder, writes=processes.leads, tracker=watcher)
    for line in describe(config, common.parts, model):
        journal.write(line)
    trainer = trainer_for(config, common, start, journal)
    shown = trainer.backend.identity()
    journal.write(f"engine    {shown} · {common.device} · threads {config.run.threads}")
    if (folder / FILE).exists():
        _load_checkpoint(trainer, config)
    with compared_with_labels(model):
        trainer.run()
    return _finished(config, common, start, trainer)


def trainer_for(config: Config, common: Common, start: Start, journal: Journal) -> Trainer:
    """Return the trainer of a model before any step."""
    folder, training, processes = folder_of(config), config.training, common.processes
    model, parts = start.model, common.parts
    request = request_of(model)
    backend = choice.chosen(config.run.engine, [model], "run.engine", request)
    scales = label_scales(parts.train, parts.outputs)
    ranks = processes.rank, processes.size
    batch = batch_size(config, parts.train)
    most = training.max_edges or edges_at_once(backend, model, request, parts.train)
    on_gpu = common.device.type == "cuda"
    loader = Loader(parts.train, batch, most, *ranks, pins=on_gpu)
    valid_edges = training.max_edges or min(VALID_EDGES, most or VALID_EDGES)
    average = Average(model, Average.decay_for(training.ema, len(loader) * training.epochs))

    def begin() -> None:
        fixed = [not head.reference_energies.requires_grad for head in model.heads.as_list()]
        if not common.warm_start and any(fixed):
            for head in np.flatnonzero(fixed).tolist():
                fit_last_layer(model, parts.train, config.run.seed, head)
            processes.share(model.state_dict().values())
            average.restart()

    return Trainer(
        config=training,
        folder=folder,
        seed=config.run.seed,
        checkpoint_seconds=60.0 * config.run.checkpoint_minutes,
        device=common.device,
        backend=backend,
        world=processes,
        state=TrainingState(model, optimizer_for(model, training), average, {}, Progress()),
        loss=Loss(
            training.loss,
            model.energy_scale.item() if config.model.heads else 1.0,
            scales,
            isinstance(model.long_range, LatentCharges),
        ),
        train=loader,
        valid=Loader(parts.valid, VALID_BATCH, valid_edges, *ranks, pins=on_gpu),
        counts=common.counts,
        journal=journal,
        identity=identity(config, parts, processes, backend),
        begin=begin,
        save_best=lambda state: _save_best(state, config, common, start, {}),
        after_save=common.after_save,
    )


def _load_checkpoint(trainer: Trainer, config: Config) -> None:
    state, journal, folder = trainer.state, trainer.journal, trainer.folder
    recorded = state.load(folder)
    for difference in compare(recorded, trainer.identity, folder):
        journal.write(f"note      {difference}")
    progress = state.progress
    if changes_of_schedule(recorded["settings"], config):
        trainer.new_schedule = True
        journal.write(
            f"extend    epochs {progress.epoch + 1} to {config.training.epochs} with a new schedule"
            f" from the weights of epoch {progress.best_epoch}"
        )
    elif is_over(config.training, progress):
        journal.write("complete")
    else:
        journal.write(f"continue  after epoch {progress.epoch}, step {progress.step}")
    logged = {row["epoch"] for row in read_log(folder / LOG)}
    absent = [epoch for epoch in range(progress.epoch + 1) if epoch not in logged]
    if absent:
        epochs = counted(len(absent), "epoch")
        journal.write(
            f"note      log.csv lacks {epochs} (from epoch {absent[0]}): the training is not "
            "affected, but learning curves are incomplete"
        )
    if not trainer.world.leads:
        # The recorded sums of all processes are continued by the leading process.
        progress.errors = Progress().errors


def _finished(config: Config, common: Common, start: Start, trainer: Trainer) -> Member:
    state, training = trainer.state, config.training
    with state.best_weights():
        record_ranges(start.model, common.parts.train)
        keep_repulsive(start.model)
    progress, baseline = state.progress, common.parts.baseline
    reason, warning = nothing_learned(progress, baseline, warm_start=common.warm_start), None
    if reason is not None:
        n_train = len(common.parts.train)
        warning = advice(reason, epochs=progress.epoch, n_train=n_train, rate=training.rate)
    if common.processes.leads:
        _save_best(state, config, common, start, {} if warning is None else {"warning": warning})
    common.processes.wait()
    potential = load(trainer.folder / MODEL)
    assert isinstance(potential, Potential)
    return Member(potential, progress.best_epoch, warning)


def _save_best(
    state: TrainingState, config: Config, common: Common, start: Start, more: dict[str, Any]
) -> None:
    """Write the potential with the best weights."""
    progress, path = state.progress, Path(folder_of(config)) / MODEL
    with state.best_weights():
        about = metadata(
            config, common.parts, start.energies, progress.best_epoch, progress.best_errors
        )
        Potential(start.model, about | more).save(path)
