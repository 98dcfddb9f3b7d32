"""Train or resume: from a configuration to a potential with its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from reann.atomic_file import replacing
from reann.backends import choice
from reann.config import Config
from reann.config.file import anchored, save_config
from reann.config.from_values import AnyConfig, configuration
from reann.config.unused import refuse_unused
from reann.data.check.quick import check_at_start
from reann.data.split import save_split
from reann.device import cpu_threads
from reann.model_file import model_file
from reann.training.aside import is_set_aside, set_aside, settle
from reann.training.budget import with_epochs
from reann.training.describe import provenance
from reann.training.distributed import World
from reann.training.extend import refuse_changes
from reann.training.finish import finish
from reann.training.folder import (
    CONFIG,
    START,
    folder_of,
    members_of,
    refuse_another_run,
    refuse_foreign_files,
    with_run,
)
from reann.training.journal import Journal
from reann.training.loss import label_counts
from reann.training.member import Common, Start, request_of, train_member
from reann.training.opening import (
    configuration_of,
    place_of,
    restore_earlier,
    saved_or_restored,
    settle_earlier,
)
from reann.training.optim import with_rate
from reann.training.result import Run
from reann.training.setup import (
    SPLIT,
    Parts,
    open_parts,
    require_labels,
    start_model,
    useful_threads,
)
from reann.training.warm_start import with_model_of


def train(
    config: AnyConfig,
    warm_start: str | Path | None = None,
    *,
    overwrite: bool = False,
    **changes: Any,
) -> Run:
    """Train a potential, or an ensemble of `run.seeds`, in a new run folder.

    Parameters
    ----------
    config
        A `Config`, a YAML file, or a dictionary such as ``{"data": {"train": "water.xyz"}}``.
    warm_start
        A `.reann` file or run folder with the initial weights.
    overwrite
        Overwrite an earlier run in the folder as soon as the new run has a checkpoint.
    changes
        Fields that override the configuration: ``train("water.yaml", **{"training.epochs": 50})``.

    Raises
    ------
    UserError
        If the configuration has mistakes, the folder already contains a run, the data cannot be
        used, or the training diverges.
    Interrupted
        After Ctrl-C or a signal in `signals.REQUESTS`, when everything has been saved.
    """
    config = configuration(config, changes)
    refuse_unused(config.model)
    config = anchored(config)
    config = with_run(config, folder=folder_of(config))
    file = None if warm_start is None else model_file(warm_start)
    content = None
    if file is not None:
        # Read now, as it may be the potential of the run that is overwritten.
        config, content = with_model_of(config, file), file.read_bytes()
    config = with_rate(config, warm_start=file is not None)
    folder = folder_of(config)
    with place_of(config) as (processes, device):
        journal = Journal(folder, writes=processes.leads)
        if processes.leads:
            settle_earlier(folder, journal)
            refuse_foreign_files(folder)
            if not overwrite:
                refuse_another_run(folder)
        parts = open_parts(
            config, folder, processes, journal.write, as_split=False, warm_start=file
        )
        doubts = _doubts(config, parts, processes, journal)
        config = with_run(config, threads=config.run.threads or useful_threads(config, parts))
        with cpu_threads(config.run.threads or 1), saved_or_restored(folder, processes, journal):
            common = _common(config, parts, processes, device, warm_start=file is not None)
            start = _start(members_of(config)[0], common, file)
            config, notes = with_epochs(config, common, start, journal)
            processes.wait()  # until all have read the file of a warm start
            if processes.leads:
                set_aside(folder)
                if content is not None:
                    with replacing(folder / START) as temporary:
                        temporary.write_bytes(content)
                save_split(folder / SPLIT, parts.by_name(), config.run.seed)
                save_config(config, folder / CONFIG, provenance(config) | notes)
            processes.wait()
            return _train_members(config, common, start, journal, doubts)


def resume(folder: str | Path, overrides: Sequence[str] = ()) -> Run:
    """Continue an interrupted run exactly where it stopped, or extend a finished run.

    Parameters
    ----------
    overrides
        For example ``training.epochs=600``: a finished run is extended with a new schedule.

    Raises
    ------
    UserError
        If there is no run, its checkpoint is damaged, or data or settings have changed.
    """
    folder = Path(folder)
    if is_set_aside(folder):
        restore_earlier(folder)
    config = with_rate(with_run(configuration_of(folder, overrides), folder=folder))
    refuse_changes(members_of(config), folder, overrides)
    with place_of(config) as (processes, device):
        processes.wait()  # until all have read the checkpoint, before the next one is written
        journal = Journal(folder, writes=processes.leads)
        warm = folder / START if (folder / START).exists() else None
        parts = open_parts(config, folder, processes, journal.write, as_split=True, warm_start=warm)
        doubts = _doubts(config, parts, processes, journal, resumed=True)
        config = with_run(config, threads=config.run.threads or useful_threads(config, parts))
        with cpu_threads(config.run.threads or 1), saved_or_restored(folder, processes, journal):
            common = _common(config, parts, processes, device, warm_start=warm is not None)
            start = _start(members_of(config)[0], common, warm)
            config, notes = with_epochs(config, common, start, journal)
            if processes.leads and overrides:
                save_config(config, folder / CONFIG, provenance(config) | notes)
            processes.wait()
            return _train_members(config, common, start, journal, doubts)


def _doubts(
    config: Config, parts: Parts, processes: World, journal: Journal, *, resumed: bool = False
) -> list[str]:
    """Check the data and return the names of the warnings, in the leading process.

    A run is resumed although a check finds an error: the data are those it began with, and a newer
    version may know more checks.
    """
    if not processes.leads:
        return []
    return check_at_start(
        parts.datasets(),
        config.model.cutoff,
        config.data.accept,
        journal.write,
        config.model.inputs,
        stops=not resumed,
    )


def _common(
    config: Config, parts: Parts, processes: World, device: torch.device, *, warm_start: bool
) -> Common:
    folder = folder_of(config)
    counts = {"train": label_counts(parts.train), "valid": label_counts(parts.valid)}
    require_labels(config, parts, counts)

    def after_save() -> None:
        if is_set_aside(folder):
            settle(folder)

    return Common(parts, counts, processes, device, warm_start, after_save)


def _start(config: Config, common: Common, file: Path | None) -> Start:
    model, energies = start_model(config, common.parts, file)
    choice.chosen(config.run.engine, [model], "run.engine", request_of(model))
    return Start(model.to(common.device), energies)


def _train_members(
    config: Config, common: Common, start: Start, journal: Journal, doubts: Sequence[str]
) -> Run:
    """Train all members and finish the run; `doubts` are the warnings about the data."""
    folder = folder_of(config)
    file = folder / START if common.warm_start else None
    members = []
    for i, member in enumerate(members_of(config)):
        if folder_of(member) != folder:
            journal.write(f"\nmember    seed {member.run.seed} → {folder_of(member)}")
        members.append(
            train_member(member, common, start if i == 0 else _start(member, common, file))
        )
    return finish(config, common, members, doubts)
