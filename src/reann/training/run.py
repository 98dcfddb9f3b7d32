"""Train, resume, finish: from a configuration to a potential with its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from reann.checkpoint import replacing
from reann.config import Config
from reann.config_file import anchored, load_config, save_config
from reann.data.loader import Loader
from reann.data.split import save_split
from reann.device import device_named
from reann.errors import UserError
from reann.evaluate import Evaluation, evaluate
from reann.native import choice
from reann.potential import Ensemble, Potential, load
from reann.report import write_report
from reann.training.describe import describe, metadata, provenance, sentence
from reann.training.distributed import World, world
from reann.training.folder import (
    CONFIG,
    LOG,
    MODEL,
    REPORT,
    START,
    clear,
    errors_of,
    folder_of,
    identity,
    locked,
    refuse_another_run,
    remove_leftovers,
)
from reann.training.journal import Journal, read_log, tracker
from reann.training.loop import Interrupted, Trainer
from reann.training.loss import Loss, label_counts
from reann.training.optim import Average, optimizer_for
from reann.training.readout import fit_last_layer
from reann.training.setup import (
    SPLIT,
    Parts,
    batch_size,
    open_parts,
    start_model,
    useful_threads,
)
from reann.training.standardize import record_ranges
from reann.training.state import FILE, Progress, TrainingState
from reann.training.warm_start import with_model_of

Begin = Callable[[Config, Parts], None]
VALID_BATCH, VALID_EDGES = 32, 100_000
"""Structures and neighbor pairs at once in a validation."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: Path
    potential: Potential | Ensemble
    evaluations: dict[str, Evaluation]
    """Of the parts that were not trained on; only in the leading process."""


def train(config: Config, warm_start: str | Path | None = None, *, overwrite: bool = False) -> Run:
    """Train a potential, or an ensemble of `run.seeds`, in a new run folder.

    Parameters
    ----------
    warm_start
        A `.reann` file whose weights are the start.
    overwrite
        Remove an earlier run in the folder.

    Raises
    ------
    UserError
        If the folder already holds a run, the data are not usable, or the training diverges.
    Interrupted
        After Ctrl-C or SIGTERM, when everything has been saved.
    """
    config = _with_run(anchored(config), folder=folder_of(config))
    start = None
    if warm_start is not None:
        # Read now: it may be the potential of the run that is overwritten.
        config, start = with_model_of(config, Path(warm_start)), Path(warm_start).read_bytes()

    def begin(config: Config, parts: Parts) -> None:
        """Replace what was in the folder, when nothing can be wrong with the data anymore."""
        folder = folder_of(config)
        clear(folder)
        if start is not None:
            with replacing(folder / START) as temporary:
                temporary.write_bytes(start)
        save_split(folder / SPLIT, parts.by_name(), config.run.seed)
        save_config(config, folder / CONFIG, provenance(config))

    source = None if warm_start is None else Path(warm_start)
    return _train(config, source, begin, overwrite=overwrite)


def resume(folder: str | Path) -> Run:
    """Continue a run exactly where it stopped or was killed.

    Raises
    ------
    UserError
        If there is no run, its checkpoint is damaged, or data or settings have changed.
    """
    folder = Path(folder)
    if not (folder / CONFIG).exists():
        raise UserError(
            "There is no run in this folder.", str(folder), "A run folder holds config.yaml."
        )
    config = _with_run(load_config(folder / CONFIG), folder=folder)
    return _train(config, folder / START if (folder / START).exists() else None)


def _train(
    config: Config, source: Path | None, begin: Begin | None = None, *, overwrite: bool = False
) -> Run:
    """Begin a run, or without `begin` go on with one, and finish it.

    `source` is the potential of a warm start.
    """
    folder = folder_of(config)
    choice.check(config.run.engine, "run.engine")
    device = device_named(choice.device_for(config.run.engine, config.run.device))
    with world(device) as processes, locked(folder, processes):
        journal = Journal(folder, speaks=processes.leads)
        if processes.leads and begin and not overwrite:
            refuse_another_run(folder)
        parts = open_parts(
            config, folder, processes, journal.say, as_split=begin is None, warm_start=source
        )
        config = _with_run(config, threads=config.run.threads or useful_threads(config, parts))
        torch.set_num_threads(config.run.threads or 1)
        if processes.leads and begin:
            begin(config, parts)
        processes.wait()
        warm_start = folder / START if (folder / START).exists() else None
        members = []
        try:
            for one in _members(config):
                if folder_of(one) != folder:
                    journal.say(f"\nmember    seed {one.run.seed} → {folder_of(one)}")
                members.append(_train_one(one, parts, warm_start, processes, device))
        except Interrupted:
            journal.say(f"\nsaved; go on with: reann resume {folder}")
            raise
        return _finish(config, parts, members, processes, device)


def _members(config: Config) -> list[Config]:
    """Return the configuration itself, or one of each member of an ensemble."""
    run = config.run
    if run.seeds == 1:
        return [config]
    return [
        _with_run(config, folder=folder_of(config) / f"seed-{seed}", seed=seed, seeds=1)
        for seed in range(run.seed, run.seed + run.seeds)
    ]


def _train_one(
    config: Config, parts: Parts, warm_start: Path | None, processes: World, device: torch.device
) -> Potential:
    """Train, or go on training, one potential and return its best state."""
    folder, training = folder_of(config), config.training
    if processes.leads:
        remove_leftovers(folder)
    model, source = start_model(config, parts, warm_start)
    model.to(device)
    processes.share(model.state_dict().values())
    loader = Loader(
        parts.train,
        batch_size(config, parts.train),
        training.max_edges,
        processes.rank,
        processes.size,
    )
    steps = len(loader) * training.epochs
    average = Average(model, Average.decay_for(training.ema, steps))
    state = TrainingState(model, optimizer_for(model, training), average, {}, Progress())
    watcher = tracker(config.run.tracker, folder) if processes.leads else None
    journal = Journal(folder, speaks=processes.leads, tracker=watcher)
    for line in describe(config, parts, model):
        journal.say(line)
    engine = choice.chosen(config.run.engine, [model], "run.engine")
    journal.say(f"engine    {choice.identity(engine)} · {device} · threads {config.run.threads}")
    same = identity(config, parts, processes, engine)
    if (folder / FILE).exists():
        for difference in state.load(folder, same):
            journal.say(f"note      {difference}")
        at = state.progress
        done = at.epoch >= training.epochs
        journal.say("complete" if done else f"continue  after epoch {at.epoch}, step {at.step}")
        if not processes.leads:
            # The sums of all processes go on in one of them.
            state.progress.errors = Progress().errors

    def save_best(state: TrainingState) -> None:
        epoch = state.progress.best_epoch
        with state.best_weights():
            about = metadata(config, parts, source, epoch, errors_of(folder, epoch))
            Potential(model, about).save(folder / MODEL)

    def begin() -> None:
        if warm_start is None and not model.reference_energies.requires_grad:
            fit_last_layer(model, parts.train, config.run.seed)
            processes.share(model.state_dict().values())
            state.average.restart()

    trainer = Trainer(
        config=training,
        folder=folder,
        seed=config.run.seed,
        checkpoint_seconds=60.0 * config.run.checkpoint_minutes,
        device=device,
        engine=engine,
        world=processes,
        state=state,
        loss=Loss(training.loss, model.energy_scale.item()),
        train=loader,
        valid=Loader(
            parts.valid,
            VALID_BATCH,
            training.max_edges or VALID_EDGES,
            processes.rank,
            processes.size,
        ),
        counts={"train": label_counts(parts.train), "valid": label_counts(parts.valid)},
        journal=journal,
        identity=same,
        begin=begin,
        save_best=save_best,
    )
    trainer.run()
    with state.best_weights():
        record_ranges(model, parts.train)
    if processes.leads:
        save_best(state)
    processes.wait()
    potential = load(folder / MODEL)
    assert isinstance(potential, Potential)
    return potential


def _finish(
    config: Config,
    parts: Parts,
    members: list[Potential],
    processes: World,
    device: torch.device,
) -> Run:
    """Evaluate the result on the parts that were not trained on and write the report."""
    folder = folder_of(config)
    journal = Journal(folder, speaks=processes.leads)
    potential = members[0] if len(members) == 1 else Ensemble(members)
    evaluations: dict[str, Evaluation] = {}
    if processes.leads:
        if len(members) > 1:
            potential.save(folder / MODEL)
        held_out = {"valid": parts.valid} | ({"test": parts.test} if parts.test else {})
        potential.to(device)
        evaluations = {
            name: evaluate(potential, part, engine=config.run.engine)
            for name, part in held_out.items()
        }
        for name, evaluation in evaluations.items():
            journal.say(f"{name:9} {sentence(evaluation.summary())} RMSE of the best weights")
        first = folder if len(members) == 1 else folder / f"seed-{config.run.seed}"
        write_report(
            folder / REPORT,
            config=config,
            history=read_log(first / LOG),
            evaluations=evaluations,
            baseline=parts.baseline,
            provenance=provenance(config),
            atoms_of=lambda part, i: held_out[part].dataset.atoms(int(held_out[part].indices[i])),
        )
        journal.say(f"potential {folder / MODEL}\nreport    {folder / REPORT}")
    processes.wait()
    return Run(folder, potential, evaluations)


def _with_run(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"run": config.run.model_copy(update=changes)})
